"""The report: one page that works from disk and offline, and the same tables as Markdown."""
