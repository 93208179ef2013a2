"""What a running gateway tells a program on its own machine: a socket in the state folder."""
