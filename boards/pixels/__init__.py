"""What everything is drawn with: noise, shapes, strokes, paint."""
