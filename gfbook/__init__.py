"""What makes a book of chapters that check claims: checks, plots, explorers and the build.

It knows no claim, section or formula of the paper that the book is about: these come from the
chapters and from data.
"""
