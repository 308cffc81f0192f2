"""What a person does with recordings: look at one, replay one, send many elsewhere."""
