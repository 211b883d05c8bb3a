"""A gpiozero pin factory on the official gpiod bindings, for any board with a gpiochip."""
