# SPDX-License-Identifier: MIT
# A printed page at 10 pixels to the millimetre (PPM): are the bold lines of the ECG paper 50 pixels from each other, all the way across?
import sys

import numpy

data = open(sys.argv[1], "rb").read()
magic, width, height, most = data.split(None, 4)[:4]
width, height = int(width), int(height)
rgb = numpy.frombuffer(data[-3 * width * height:], numpy.uint8).reshape(height, width, 3).astype(int)
red = rgb[:, :, 0] - rgb[:, :, 2]  # grid: #f5d3cd 40, #e59a90 85
for name, along in (("across", red[300:1100, :]), ("down", red[250:1050, 300:2500].T)):
    line = along.mean(0)
    high = line > 0.6 * numpy.sort(line)[-(len(line) // 75)]
    at = [i for i in range(1, len(line) - 1) if high[i] and line[i] >= line[i - 1] and line[i] > line[i + 1]]
    gaps = numpy.diff(at)
    # a line that a trace or a letter hides is missing: then the gap is a multiple
    good = numpy.abs(gaps - 50 * numpy.round(gaps / 50)) <= 1
    span = at[-1] - at[0]
    print(name, len(at), "bold lines over", span / 10, "mm;", int(good.sum()), "of", len(gaps), "gaps are whole squares")
    if len(at) < (45 if name == "across" else 14) or not good.all() or abs(span - 50 * round(span / 50)) > 2:
        sys.exit(1)
