"""Work over many transactions: retention, statistics, key rotation."""
