"""What a picture file says about itself: one reading, for the API's check of a header and for the worker's decoding."""
