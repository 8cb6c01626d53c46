"""The build: execute the chapters, make the book of them, check it, publish it."""
