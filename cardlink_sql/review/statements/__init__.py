"""A query as the review sees it: parsed, in each variant, with what it reads and writes."""
