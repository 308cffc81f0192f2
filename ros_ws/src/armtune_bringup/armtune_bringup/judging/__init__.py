"""The success classifier as a person makes one: collect, label, train, evaluate, tune, and what practice teaches it."""
