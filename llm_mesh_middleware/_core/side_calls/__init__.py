"""Side calls: calls to a provider or a service that a policy makes, apart from the attempts."""
