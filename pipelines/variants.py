"""Stage variants: params.yaml -> outputs/variants/configured.json, the list of variants that are to be trained."""

from lgc.launch.stage import main
from lgc.launch.variants import write_list

if __name__ == "__main__":
    main(write_list)
