"""A regular package: some dependencies install a package `tests`, which would hide a namespace package."""
