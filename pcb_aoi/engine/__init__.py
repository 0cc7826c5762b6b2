"""One frame from the request to the shapes; the modules are listed in the order that data flows through them.

request, image, polarity, tiles, model (heads, runtime, cores), masks, merge (doubles, seams, chains), contours
(polygons), detector, response; boxes and detections are what they share.
Nothing here knows nuclio or the embedded platform."""
