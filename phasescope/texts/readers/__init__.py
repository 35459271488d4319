"""From files of every format that is read to documents."""
