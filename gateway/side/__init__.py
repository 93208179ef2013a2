"""One network with its SIP stack, its faces and its stores."""
