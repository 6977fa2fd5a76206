"""One run: settings in, a record out, resumable at every epoch."""
