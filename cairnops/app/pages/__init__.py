"""One page a module: widgets over a view, and callbacks that ask the desk."""
