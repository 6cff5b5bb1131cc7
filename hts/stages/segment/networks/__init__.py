"""Networks that turn an image into flows and a cell probability, and where their weights come from."""
