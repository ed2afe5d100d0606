"""Stands between the HTTP server and the Flask application: a request gets a thread once its body is complete."""
