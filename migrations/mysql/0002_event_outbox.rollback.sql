-- Drops the events for other processes. Stop what writes first: a process that publishes can
-- commit nothing without these tables.

DROP TABLE event_outbox;
DROP TABLE event_counter;
