"""Objects that a live server keeps for as long as it runs: the key store and the recorder."""
