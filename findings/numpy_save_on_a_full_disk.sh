#!/bin/sh
# numpy.save and ndarray.tofile do not always tell that the disk is full.
#
# They write through a stream of the C library. An array that fits into its buffer reaches the disk when the stream is
# closed, and what goes wrong then is dropped: the call returns as if all were well, and the file ends where the disk
# did. Of a larger array the error is raised, but without the system's number (errno is None), so it cannot be told
# from others. Writing the same bytes through Python's own file raises OSError with EFBIG or ENOSPC at both sizes.
#
# Here the disk is one that takes 2 000 bytes of a file (the limit of the process, as `ulimit -f` sets it).
#
# Seen with Python 3.11.7, numpy 2.4.6, Linux x86-64 (glibc):
#   300 numbers: save: no error, 2000 of 2528 bytes; tofile: no error, 2000 of 2400 bytes; Python: errno 27
#   5000 numbers: save: errno None; tofile: errno None; Python: errno 27
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cat > "$folder/full.py" <<'PYTHON'
import os
import resource
import sys

import numpy as np

place = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def tried(write, whole):
    try:
        with open(place, "wb") as file:
            write(file)
    except OSError as error:
        return f"errno {error.errno}"
    return f"no error, {os.path.getsize(place)} of {whole} bytes"


for count in (300, 5000):
    numbers = np.arange(count, dtype=np.int64)
    print(
        f"{count} numbers: save: {tried(lambda file: np.save(file, numbers), numbers.nbytes + 128)}; "
        f"tofile: {tried(numbers.tofile, numbers.nbytes)}; "
        f"Python: {tried(lambda file: file.write(numbers.data), numbers.nbytes)}"
    )
PYTHON
"$folder/venv/bin/python" "$folder/full.py" "$folder/numbers" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
300 numbers: save: no error, 2000 of 2528 bytes; tofile: no error, 2000 of 2400 bytes; Python: errno 27
5000 numbers: save: errno None; tofile: errno None; Python: errno 27
TEXT
diff "$folder/expected" "$folder/seen"
