"""Token sequences with a scored span: minimal pairs and multiple-choice tasks of every format that is read."""
