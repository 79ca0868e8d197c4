-- A key that was shown to be its account's (proven, when) is nobody else's, unless an
-- operator has said why it is shared (shared, the reason; '' for none).
ALTER TABLE public_keys ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE public_keys ADD COLUMN shared TEXT NOT NULL DEFAULT '';
-- What several accounts had before keys had an owner goes on until somebody decides.
UPDATE public_keys SET shared = 'in use by several accounts before keys had one owner'
  WHERE fingerprint IN (SELECT fingerprint FROM public_keys GROUP BY fingerprint HAVING count(*) > 1);
CREATE INDEX public_keys_by_fingerprint ON public_keys (fingerprint);
CREATE UNIQUE INDEX public_keys_owner ON public_keys (fingerprint) WHERE proven <> 0 AND shared = '';
