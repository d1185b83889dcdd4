-- Up Migration
-- What still waits for a person who is deleted forgets where it would have gone.
GRANT UPDATE (address) ON deliveries TO carillon_request;
