"""One face: draws the parameters, then the layers from the back to the front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lgc.data.synthetic.canvas import ALL, Canvas, Light
from lgc.data.synthetic.accessories import *
from lgc.data.synthetic.hats import paint_hat
from lgc.data.synthetic.body import *
from lgc.data.synthetic.backdrop import *
from lgc.data.synthetic.texture import blur
from lgc.data.synthetic.features import paint_beard, paint_brows, paint_eyes, paint_mouth, paint_nose
from lgc.data.synthetic.hair import meet_hair, paint_back_hair, paint_hair
from lgc.data.synthetic.head import lit_normal, meet_head, paint_skin
from lgc.data.synthetic.parameters import sample_person, sample_scene
from lgc.data.synthetic.view import View

def draw_face(seed, index, size=256):
    rng = lambda k: np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, k])))
    person = sample_person(rng(0)); scene = sample_scene(rng(1), person)
    view = View(size, scene.pose, scene.scale, scene.shift)
    c = Canvas((size, size)); r = rng(2)
    l = view.to_head(scene.light)
    hl = tuple(p+q for p,q in zip(l, view.rays.direction)); n = sum(v*v for v in hl)**.5
    light = Light(l, tuple(v/n for v in hl), scene.key, scene.ambient)
    hl = (scene.light[0], scene.light[1], scene.light[2]+1); n = sum(v*v for v in hl)**.5
    room = Light(scene.light, tuple(v/n for v in hl), scene.key, scene.ambient)
    c.pixels[:] = paint_backdrop(scene, size, r)
    hair = meet_hair(view, person, scene, r)
    if hair: paint_back_hair(c, hair)
    body = meet_body(view, person, scene)
    paint_body(c, body, person, scene, room, r)
    face = meet_head(view, person, scene)
    paint_skin(face, person, scene, r)
    paint_beard(face, person, r)
    paint_nose(face, person)
    paint_mouth(face, person, scene)
    paint_eyes(face, person, scene, r)
    paint_brows(face, person, scene, r)
    full = np.zeros((size,size),np.float32); full[face.box]=face.surface.cover
    k=size//20
    c.shade(full, k, (int(k*1.6), int(-scene.light[0]*k)), .7, body.cover)
    c.paint(face.box, face.surface.cover, light.apply(face.skin.pixels, lit_normal(face), (0.45,0.28,0.2)), depth=face.surface.depth)
    sel = face.surface.cover > .5
    c.labels[face.box][sel] = face.skin.labels[sel]
    paint_ears(c, view, person, light)
    paint_glasses(c, view, person, scene)
    if hair:
        c.shade(hair.front, size//40, (size//50, 0), .55, 1-hair.front)
        paint_hair(c, hair, light)
    paint_earrings(c, view, person, scene)
    paint_hat(c, view, person, scene, light, r)
    px = c.pixels
    if scene.blur: px = blur(px, max(1, int(scene.blur*size/2+.5)))
    out = np.sqrt(np.clip(px, 0, 1.0))
    out += (r.random((1,size,size),np.float32)+r.random((3,size,size),np.float32)-1)*scene.grain*1.5
    return (np.clip(out,0,1)*255+.5).astype(np.uint8).transpose(1,2,0), c.labels, person, scene
