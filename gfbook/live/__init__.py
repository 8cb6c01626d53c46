"""Python in the page: what it is made of, the kernel that runs in a reader's browser, its page.

`parts` gathers what others made and packs it small; `shell` is the kernel, and runs nowhere but
in the browser; static/ has the scripts. A part of the build puts them into a site.
"""
