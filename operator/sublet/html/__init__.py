"""Pages that people read in a browser: one file each, no script, nothing from outside, light and dark, on a phone and on paper.

Pure. Whatever is put into a page is escaped by `markupsafe`; only what this package writes itself is markup. A chart says what it
shows in words too, and tells its parts by pattern as well as by colour.
"""
