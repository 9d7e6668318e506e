-- Drops the number of tries: every try counts as a test again.

ALTER TABLE test_results DROP COLUMN tries;
