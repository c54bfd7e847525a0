"""What the pages show, computed without a browser: domain objects in, frozen view data out."""
