-- Accounts, what their partners chose, the catalogue, and the history of changes.
--
-- Text keys are compared byte by byte: COLLATE "C". Foreign keys that one change may break on its
-- way from one sound state to another are DEFERRABLE INITIALLY DEFERRED.

-- The history, append-only. A revision is one row.
CREATE TABLE policy_change (
    revision           bigint      NOT NULL,
    change_id          uuid        NOT NULL,
    -- The time of the insert, under the lock of the head: in the order of revisions, which the
    -- start of a transaction that waited for the lock would not be.
    committed_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor              text        NOT NULL,
    caller             text        NOT NULL,
    comment            text        NOT NULL,
    subject_kind       text        NOT NULL,
    subject_id         text        COLLATE "C",
    -- What caches have to forget: these keys, or more than can be named.
    changed_everything boolean     NOT NULL,
    changed_accounts   text[]      COLLATE "C" NOT NULL DEFAULT '{}',
    changed_partners   text[]      COLLATE "C" NOT NULL DEFAULT '{}',
    changed_catalog    boolean     NOT NULL,
    -- What differs, in the shapes of the data file.
    before             jsonb,
    after              jsonb,
    CONSTRAINT policy_change_pkey PRIMARY KEY (revision),
    CONSTRAINT policy_change_id_once UNIQUE (revision, change_id),
    CONSTRAINT policy_change_revision_range CHECK (revision >= 0),
    CONSTRAINT policy_change_actor_length CHECK (char_length(actor) <= 256),
    CONSTRAINT policy_change_caller_length CHECK (char_length(caller) <= 2048),
    CONSTRAINT policy_change_comment_length CHECK (char_length(comment) <= 1000),
    CONSTRAINT policy_change_subject_kind CHECK (subject_kind IN ('account', 'partner', 'catalog', 'everything')),
    CONSTRAINT policy_change_subject_id CHECK ((subject_id IS NOT NULL) = (subject_kind IN ('account', 'partner'))),
    CONSTRAINT policy_change_everything_names_none CHECK (
        NOT changed_everything OR (changed_accounts = '{}' AND changed_partners = '{}'))
);

-- The head: one row, whose lock gives every write its revision in commit order.
CREATE TABLE policy_revision (
    one_row   boolean NOT NULL DEFAULT true,
    revision  bigint  NOT NULL,
    change_id uuid    NOT NULL,
    CONSTRAINT policy_revision_pkey PRIMARY KEY (one_row),
    CONSTRAINT policy_revision_one_row CHECK (one_row),
    CONSTRAINT policy_revision_change FOREIGN KEY (revision, change_id)
        REFERENCES policy_change (revision, change_id) DEFERRABLE INITIALLY DEFERRED
);

-- The last change to markets or locations: one row.
CREATE TABLE catalog_revision (
    one_row   boolean NOT NULL DEFAULT true,
    revision  bigint  NOT NULL,
    change_id uuid    NOT NULL,
    CONSTRAINT catalog_revision_pkey PRIMARY KEY (one_row),
    CONSTRAINT catalog_revision_one_row CHECK (one_row),
    CONSTRAINT catalog_revision_change FOREIGN KEY (revision, change_id)
        REFERENCES policy_change (revision, change_id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE account (
    id           text   COLLATE "C" NOT NULL,
    kind         text   COLLATE "C" NOT NULL,
    partner_id   text   COLLATE "C",
    -- What the kind of the partner has to be; only here so that a foreign key can demand it.
    partner_kind text   COLLATE "C" GENERATED ALWAYS AS
        (CASE WHEN partner_id IS NOT NULL THEN 'partner' END) STORED,
    support      text   COLLATE "C",
    display_name text   NOT NULL DEFAULT '',
    -- The last change to this account or to its own settings.
    revision     bigint NOT NULL,
    CONSTRAINT account_pkey PRIMARY KEY (id),
    CONSTRAINT account_id_kind UNIQUE (id, kind),
    CONSTRAINT account_id_shape CHECK (id ~ '^[A-Za-z0-9._:-]{1,64}$'),
    CONSTRAINT account_kind CHECK (kind IN ('direct', 'partner', 'managed')),
    CONSTRAINT account_support CHECK (support IN ('partner', 'platform')),
    CONSTRAINT account_managed_has_partner CHECK ((kind = 'managed') = (partner_id IS NOT NULL)),
    CONSTRAINT account_managed_has_support CHECK ((kind = 'managed') = (support IS NOT NULL)),
    CONSTRAINT account_display_name_length CHECK (char_length(display_name) <= 200),
    CONSTRAINT account_revision_range CHECK (revision >= 0),
    CONSTRAINT account_partner_is_partner FOREIGN KEY (partner_id, partner_kind)
        REFERENCES account (id, kind) DEFERRABLE INITIALLY DEFERRED
);

-- The accounts of a partner, in order.
CREATE INDEX account_by_partner ON account (partner_id, id) WHERE partner_id IS NOT NULL;

-- A partner whose policy was ever changed. One without a row has set nothing.
CREATE TABLE partner_policy (
    partner_id   text   COLLATE "C" NOT NULL,
    partner_kind text   COLLATE "C" NOT NULL GENERATED ALWAYS AS ('partner') STORED,
    -- The last change to this policy.
    revision     bigint NOT NULL,
    CONSTRAINT partner_policy_pkey PRIMARY KEY (partner_id),
    CONSTRAINT partner_policy_revision_range CHECK (revision >= 0),
    CONSTRAINT partner_policy_is_of_partner FOREIGN KEY (partner_id, partner_kind)
        REFERENCES account (id, kind) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE partner_setting (
    partner_id text   COLLATE "C" NOT NULL,
    feature    text   COLLATE "C" NOT NULL,
    setting    text   COLLATE "C" NOT NULL,
    -- The change that set it.
    revision   bigint NOT NULL,
    CONSTRAINT partner_setting_pkey PRIMARY KEY (partner_id, feature),
    CONSTRAINT partner_setting_feature_shape CHECK (feature ~ '^[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT partner_setting_setting CHECK (setting IN ('on', 'off')),
    CONSTRAINT partner_setting_revision_range CHECK (revision >= 0),
    CONSTRAINT partner_setting_policy FOREIGN KEY (partner_id)
        REFERENCES partner_policy (partner_id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE account_setting (
    account_id   text   COLLATE "C" NOT NULL,
    -- Only a managed account has settings of its own: they are its partner's choices.
    account_kind text   COLLATE "C" NOT NULL GENERATED ALWAYS AS ('managed') STORED,
    feature      text   COLLATE "C" NOT NULL,
    setting      text   COLLATE "C" NOT NULL,
    -- The change that set it.
    revision     bigint NOT NULL,
    CONSTRAINT account_setting_pkey PRIMARY KEY (account_id, feature),
    CONSTRAINT account_setting_feature_shape CHECK (feature ~ '^[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}$'),
    CONSTRAINT account_setting_setting CHECK (setting IN ('on', 'off')),
    CONSTRAINT account_setting_revision_range CHECK (revision >= 0),
    CONSTRAINT account_setting_is_of_managed FOREIGN KEY (account_id, account_kind)
        REFERENCES account (id, kind) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE billing_market (
    code     text COLLATE "C" NOT NULL,
    name     text NOT NULL,
    currency text COLLATE "C" NOT NULL,
    CONSTRAINT billing_market_pkey PRIMARY KEY (code),
    CONSTRAINT billing_market_code_shape CHECK (code ~ '^[A-Z0-9_]{2,16}$'),
    CONSTRAINT billing_market_name_length CHECK (char_length(name) <= 200),
    CONSTRAINT billing_market_currency_shape CHECK (currency ~ '^[A-Z]{3}$')
);

CREATE TABLE billing_market_alias (
    alias  text COLLATE "C" NOT NULL,
    market text COLLATE "C" NOT NULL,
    CONSTRAINT billing_market_alias_pkey PRIMARY KEY (alias),
    CONSTRAINT billing_market_alias_shape CHECK (alias ~ '^[A-Z0-9_]{2,16}$'),
    CONSTRAINT billing_market_alias_is_another CHECK (alias <> market),
    CONSTRAINT billing_market_alias_market FOREIGN KEY (market)
        REFERENCES billing_market (code) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX billing_market_alias_by_market ON billing_market_alias (market);

-- The markets that a partner enabled, by code, never by alias.
CREATE TABLE partner_market (
    partner_id text   COLLATE "C" NOT NULL,
    market     text   COLLATE "C" NOT NULL,
    -- The change that enabled it.
    revision   bigint NOT NULL,
    CONSTRAINT partner_market_pkey PRIMARY KEY (partner_id, market),
    CONSTRAINT partner_market_revision_range CHECK (revision >= 0),
    CONSTRAINT partner_market_policy FOREIGN KEY (partner_id)
        REFERENCES partner_policy (partner_id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT partner_market_market FOREIGN KEY (market)
        REFERENCES billing_market (code) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX partner_market_by_market ON partner_market (market);

CREATE TABLE location (
    id      text COLLATE "C" NOT NULL,
    name    text NOT NULL,
    metro   text NOT NULL,
    country text NOT NULL,
    -- As it was put: a code, an alias or one that no market has. No foreign key, so that the
    -- locations of a deleted market stay, hidden from managed accounts.
    market  text COLLATE "C",
    status  text COLLATE "C",
    CONSTRAINT location_pkey PRIMARY KEY (id),
    CONSTRAINT location_id_shape CHECK (id ~ '^[A-Za-z0-9._:-]{1,64}$'),
    CONSTRAINT location_name_length CHECK (char_length(name) <= 200),
    CONSTRAINT location_metro_length CHECK (char_length(metro) <= 100),
    CONSTRAINT location_country_length CHECK (char_length(country) <= 100),
    CONSTRAINT location_market_shape CHECK (market ~ '^[A-Z0-9_]{2,16}$'),
    CONSTRAINT location_status CHECK (status IN ('active', 'deployment', 'restricted', 'extended', 'new', 'expired'))
);

CREATE TABLE offer (
    location_id      text     COLLATE "C" NOT NULL,
    -- From 0, in the order in which the location lists its offers.
    position         smallint NOT NULL,
    product          text     COLLATE "C" NOT NULL,
    -- Whether there is a price at all; one that has neither part is still a price.
    priced           boolean  NOT NULL,
    monthly_currency text     COLLATE "C",
    monthly_units    bigint,
    -- Billionths of a unit.
    monthly_nanos    integer,
    setup_currency   text     COLLATE "C",
    setup_units      bigint,
    setup_nanos      integer,
    CONSTRAINT offer_pkey PRIMARY KEY (location_id, position),
    CONSTRAINT offer_product_once UNIQUE (location_id, product),
    CONSTRAINT offer_position_range CHECK (position BETWEEN 0 AND 255),
    CONSTRAINT offer_product_shape CHECK (product ~ '^[A-Za-z0-9._:-]{1,64}$'),
    CONSTRAINT offer_unpriced CHECK (priced OR (monthly_currency IS NULL AND setup_currency IS NULL)),
    CONSTRAINT offer_monthly_whole CHECK (num_nonnulls(monthly_currency, monthly_units, monthly_nanos) IN (0, 3)),
    CONSTRAINT offer_monthly_currency_shape CHECK (monthly_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT offer_monthly_nanos_range CHECK (monthly_nanos BETWEEN -999999999 AND 999999999),
    CONSTRAINT offer_monthly_sign CHECK (sign(monthly_units) * sign(monthly_nanos) >= 0),
    CONSTRAINT offer_setup_whole CHECK (num_nonnulls(setup_currency, setup_units, setup_nanos) IN (0, 3)),
    CONSTRAINT offer_setup_currency_shape CHECK (setup_currency ~ '^[A-Z]{3}$'),
    CONSTRAINT offer_setup_nanos_range CHECK (setup_nanos BETWEEN -999999999 AND 999999999),
    CONSTRAINT offer_setup_sign CHECK (sign(setup_units) * sign(setup_nanos) >= 0),
    CONSTRAINT offer_location FOREIGN KEY (location_id)
        REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED
);

-- Revision 0: a store in which nothing was ever changed. Its id tells this store from any other.
INSERT INTO policy_change (revision, change_id, actor, caller, comment, subject_kind, changed_everything, changed_catalog)
VALUES (0, gen_random_uuid(), 'portcullis', 'portcullis', 'genesis', 'everything', true, true);
INSERT INTO policy_revision (revision, change_id) SELECT revision, change_id FROM policy_change;
INSERT INTO catalog_revision (revision, change_id) SELECT revision, change_id FROM policy_change;

-- A write that makes no revision would slip past every cache. A writer raises the revision first,
-- and marks its transaction with the id of its change.
CREATE FUNCTION portcullis_refuse_unmarked_write() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('portcullis.change', true) IS DISTINCT FROM
        (SELECT change_id::text FROM policy_revision) THEN
        RAISE EXCEPTION 'table % is written by portcullis only', TG_TABLE_NAME
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Use portcullis import. A row written past it would have no revision, and no cache would notice.';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION portcullis_refuse_rewritten_history() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state';
END
$$;

CREATE TRIGGER policy_change_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_change
    FOR EACH STATEMENT EXECUTE FUNCTION portcullis_refuse_rewritten_history();

DO $$
DECLARE
    guarded text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['account', 'partner_policy', 'partner_setting', 'account_setting', 'partner_market',
                                   'billing_market', 'billing_market_alias', 'location', 'offer', 'catalog_revision'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION portcullis_refuse_unmarked_write()',
                       guarded || '_marked', guarded);
    END LOOP;
END
$$;
