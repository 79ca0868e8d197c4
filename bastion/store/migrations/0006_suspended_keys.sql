-- When wrong codes behind a key's signature suspended it; 0 while it is in use.
ALTER TABLE public_keys ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
