"""What all of a report is made of, whatever the question: axes, colours, cells, panels, sentences."""
