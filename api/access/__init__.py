"""Who may call the API and how often: keys, sessions, rate limits, the bind guard and security headers."""
