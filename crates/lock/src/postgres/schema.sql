-- Everything that the locks keep in a database, made by Postgres::migrate, which may run again at any time.
-- Times are microseconds since 1970 on the server's clock.
--
-- A step is one call of a function, and a transaction of its own. It begins by locking its keys, with
-- transaction-level advisory locks in ascending order, so that the steps of a key come one after the other
-- and never wait in a circle. Under "read committed" each statement after that sees what the step before did.

-- What a later version has made serves earlier programs as well, and must not be made over by them.
DO $$
DECLARE
    v_version integer;
BEGIN
    -- Nobody else makes it meanwhile, whatever runs this.
    PERFORM pg_advisory_xact_lock(hashtextextended('{schema}', 2));
    IF to_regprocedure('{schema}.version()') IS NULL THEN
        RETURN;
    END IF;
    EXECUTE 'SELECT {schema}.version()' INTO v_version;
    IF v_version > {version} THEN
        RAISE EXCEPTION USING ERRCODE = '{later_schema}', MESSAGE = format(
            'the schema {schema} is of version %s, later than the {version} of this program, and was left as it is',
            v_version);
    END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS {schema};

-- One row for each holder (with a fence) and for each waiter in a queue (with a place).
CREATE TABLE IF NOT EXISTS {schema}.entries (
    key text COLLATE "C" NOT NULL,
    owner bytea NOT NULL,
    mode text NOT NULL,
    until_us bigint NOT NULL,
    fence bigint,
    place bigint,
    -- How many it lets hold the lock, itself included: of all holders and the one who asks the smallest counts.
    holders_max integer,
    fair boolean,
    -- Somebody who is not in the queue waits for room.
    wanted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (key, owner),
    CHECK ((fence IS NULL) <> (place IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What all share who hold a lock side by side. Without one it is the fence.
DO $$ BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
            WHERE attrelid = '{schema}.entries'::regclass AND attname = 'turn' AND NOT attisdropped
    ) THEN
        -- It locks the table, so not each time.
        ALTER TABLE {schema}.entries ADD COLUMN turn bigint;
    END IF;
END $$;

-- Owners that were released lately. Not logged: after a crash no step is on its way any more that it is for.
CREATE UNLOGGED TABLE IF NOT EXISTS {schema}.ends (
    owner bytea PRIMARY KEY,
    released boolean NOT NULL,
    until_us bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What processes are called. The owners of a process begin with its id.
CREATE TABLE IF NOT EXISTS {schema}.processes (
    id bytea PRIMARY KEY,
    name text NOT NULL,
    seen_us bigint NOT NULL
);

CREATE SEQUENCE IF NOT EXISTS {schema}.fence;

-- One row: the longest lease that anybody has been given, and until when nothing is granted because the clock was set
-- forward. The leases that it has cut short go on by the clocks of their holders, for as long as the longest at the most.
CREATE TABLE IF NOT EXISTS {schema}.clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    lease_us bigint NOT NULL,
    calm_at_us bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE OR REPLACE FUNCTION {schema}.now_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

DO $$
DECLARE
    v_grant record;
BEGIN
    IF EXISTS (SELECT FROM {schema}.clock) THEN
        RETURN;
    END IF;
    -- After those who are about to be told that they hold a lock.
    LOCK TABLE {schema}.entries IN SHARE MODE;
    INSERT INTO {schema}.clock (lease_us)
        SELECT greatest(max(until_us) - {schema}.now_us(), 0) FROM {schema}.entries WHERE fence IS NOT NULL;
    -- Made later than the other tables: whoever may use those may use it.
    FOR v_grant IN
        SELECT g.* FROM pg_class AS c, aclexplode(c.relacl) AS g WHERE c.oid = '{schema}.entries'::regclass
    LOOP
        EXECUTE format('GRANT %s ON {schema}.clock TO %s', v_grant.privilege_type,
            CASE v_grant.grantee WHEN 0 THEN 'PUBLIC' ELSE v_grant.grantee::regrole::text END);
    END LOOP;
END $$;

-- The server's clock was set forward. Returns until when nothing is granted, and what time it is.
CREATE OR REPLACE FUNCTION {schema}.clock_jumped(OUT o_now bigint, OUT o_calm_at bigint) LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    o_now := {schema}.now_us();
    UPDATE {schema}.clock SET calm_at_us = greatest(calm_at_us, o_now + lease_us) RETURNING calm_at_us INTO o_calm_at;
END $$;

-- Has the steps of the same keys come one after the other. Returns the time after that.
CREATE OR REPLACE FUNCTION {schema}.enter(p_keys text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_hash bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the steps of a lock need the isolation level "read committed"';
    END IF;
    FOR v_hash IN
        SELECT DISTINCT hashtextextended('{schema}.' || k, 0) AS hash FROM unnest(p_keys) AS k ORDER BY hash
    LOOP
        PERFORM pg_advisory_xact_lock(v_hash);
    END LOOP;
    RETURN {schema}.now_us();
END $$;

-- A number greater than all before it. The clock in it keeps it growing if the sequence is lost, by a standby
-- that lagged or a restored backup: the sequence is kept ahead of the clock, so that hardly anybody has to move
-- it, but only by a tenth of a second, in which nothing fails over.
CREATE OR REPLACE FUNCTION {schema}.next_number(p_now bigint, p_min bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint := nextval('{schema}.fence');
BEGIN
    IF v_number > p_now AND v_number > p_min THEN
        RETURN v_number;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('{schema}', 1));
    SELECT last_value INTO v_number FROM {schema}.fence;
    IF v_number > p_now AND v_number > p_min THEN
        RETURN nextval('{schema}.fence');
    END IF;
    v_number := greatest(p_now, p_min) + 1;
    PERFORM setval('{schema}.fence', v_number + 100000);
    RETURN v_number;
END $$;

-- The greatest fence of somebody else, or null.
CREATE OR REPLACE FUNCTION {schema}.rival(p_keys text[], p_owner bytea) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT max(fence) FROM {schema}.entries WHERE key = ANY (p_keys) AND owner <> p_owner
$$;

-- Who of the queue can get in next, and how many there is room for. One who lets in too few keeps nobody back unless it is
-- fair. Without one, whether all of them only let in too few.
CREATE OR REPLACE FUNCTION {schema}.turn(
    p_key text, OUT o_owner bytea, OUT o_room integer, OUT o_max integer, OUT o_mode text, OUT o_fair boolean,
    OUT o_for_room boolean
) LANGUAGE plpgsql AS $$
DECLARE
    v_waiter record;
    v_count integer;
    v_mode text;
    v_max integer;
    v_first boolean := true;
BEGIN
    SELECT count(*), min(mode), min(holders_max) INTO v_count, v_mode, v_max
        FROM {schema}.entries WHERE key = p_key AND fence IS NOT NULL;
    o_for_room := false;
    FOR v_waiter IN SELECT * FROM {schema}.entries WHERE key = p_key AND place IS NOT NULL ORDER BY place LOOP
        IF (v_count > 0 AND v_mode <> v_waiter.mode) OR (v_waiter.fair AND NOT v_first) THEN
            RETURN;
        END IF;
        o_room := least(v_waiter.holders_max, v_max) - v_count;
        IF v_count = 0 OR o_room > 0 THEN
            o_owner := v_waiter.owner;
            o_max := v_waiter.holders_max;
            o_mode := v_waiter.mode;
            o_fair := v_waiter.fair;
            RETURN;
        ELSIF v_waiter.fair THEN
            RETURN;
        END IF;
        v_first := false;
    END LOOP;
    o_for_room := true;
END $$;

-- Tells whose turn it is, and gives it a while to come.
CREATE OR REPLACE FUNCTION {schema}.tell(
    p_key text, p_now bigint, p_claim_us bigint, p_owner bytea, p_room integer, p_max integer, p_mode text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {schema}.entries SET until_us = p_now + p_claim_us
        WHERE key = p_key AND owner = p_owner AND until_us > p_now + p_claim_us;
    PERFORM pg_notify('{schema}', concat_ws(E'\n', encode(p_owner, 'hex'), p_room, p_max, p_mode, p_key));
END $$;

-- After room was made: tells others. Returns whether those outside the queue were told.
CREATE OR REPLACE FUNCTION {schema}.freed(p_key text, p_now bigint, p_claim_us bigint, p_wanted boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_next record;
BEGIN
    SELECT * INTO v_next FROM {schema}.turn(p_key);
    IF v_next.o_owner IS NOT NULL THEN
        PERFORM {schema}.tell(
            p_key, p_now, p_claim_us, v_next.o_owner, v_next.o_room, v_next.o_max, v_next.o_mode);
        RETURN false;
    END IF;
    -- Without a queue, or without room but for those who let in more, who may be outside of it.
    IF p_wanted AND v_next.o_for_room THEN
        PERFORM pg_notify('{schema}', concat(E'\n\n\n\n', p_key));
        UPDATE {schema}.entries SET wanted = false WHERE key = p_key AND wanted;
        RETURN true;
    END IF;
    RETURN false;
END $$;

-- An earlier one, which told nobody that it left room.
DROP FUNCTION IF EXISTS {schema}.acquire(
    text[], bytea, text, integer, bigint, bigint, boolean, bigint, boolean, bigint, bigint);
-- And one that told no turn: what a function returns cannot be replaced.
DO $$ BEGIN
    IF EXISTS (
        SELECT FROM pg_proc
            WHERE pronamespace = '{schema}'::regnamespace AND proname = 'acquire' AND NOT 'o_turn' = ANY (proargnames)
    ) THEN
        DROP FUNCTION {schema}.acquire(
            text[], bytea, text, integer, bigint, bigint, boolean, bigint, boolean, bigint, bigint, bigint);
    END IF;
END $$;

-- Takes locks, all or none, or a place in a queue. Outcomes: 1 granted, 2 conflict, 3 quarantined, 4 released before,
-- 5 too late, 6 the queue is full. A time to live of 0 does not wait.
CREATE OR REPLACE FUNCTION {schema}.acquire(
    p_keys text[], p_owner bytea, p_mode text, p_holders_max integer, p_lease_us bigint, p_fence_min bigint,
    p_fair boolean, p_ttl_us bigint, p_queue boolean, p_place bigint, p_not_after bigint, p_claim_us bigint,
    OUT o_outcome integer, OUT o_now bigint, OUT o_number bigint, OUT o_key integer,
    OUT o_holder_remaining bigint, OUT o_retry_after bigint, OUT o_head bytea, OUT o_turn bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_key text;
    v_count integer;
    v_first bigint;
    v_last bigint;
    v_mode text;
    v_own bigint;
    v_max integer;
    v_until bigint;
    v_full boolean;
    v_next record;
    v_is_last_told boolean;
    v_clock record;
BEGIN
    o_now := {schema}.enter(p_keys);
    IF o_now > p_not_after THEN
        o_outcome := 5;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM {schema}.ends WHERE owner = p_owner AND until_us > o_now) THEN
        o_outcome := 4;
        RETURN;
    END IF;
    -- Whoever was told that it holds a lock must be believed after a crash as well.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    v_until := o_now + p_lease_us;
    DELETE FROM {schema}.entries WHERE key = ANY (p_keys) AND until_us <= o_now;

    SELECT count(*), max(fence) INTO v_count, o_number FROM {schema}.entries
        WHERE key = ANY (p_keys) AND owner = p_owner AND fence IS NOT NULL;
    IF v_count = cardinality(p_keys) THEN
        -- The answer was lost. The same again.
        UPDATE {schema}.entries SET until_us = v_until
            WHERE key = ANY (p_keys) AND owner = p_owner AND until_us < v_until;
        UPDATE {schema}.clock SET lease_us = p_lease_us WHERE lease_us < p_lease_us;
        SELECT max(coalesce(turn, fence)) INTO o_turn FROM {schema}.entries
            WHERE key = p_keys[1] AND fence IS NOT NULL;
        o_outcome := 1;
        RETURN;
    END IF;

    SELECT lease_us, calm_at_us INTO v_clock FROM {schema}.clock;
    IF v_clock.calm_at_us > o_now THEN
        o_outcome := 3;
        o_retry_after := v_clock.calm_at_us - o_now;
        RETURN;
    END IF;

    FOR v_index IN 1 .. cardinality(p_keys) LOOP
        v_key := p_keys[v_index];
        SELECT count(*), min(until_us), max(until_us), min(mode), least(p_holders_max, min(holders_max)),
                max(coalesce(turn, fence))
            INTO v_count, v_first, v_last, v_mode, v_max, o_turn
            FROM {schema}.entries WHERE key = v_key AND fence IS NOT NULL;
        SELECT place INTO v_own FROM {schema}.entries WHERE key = v_key AND owner = p_owner AND place IS NOT NULL;
        v_full := false;
        IF v_count > 0 AND v_mode <> p_mode THEN
            o_retry_after := v_last - o_now;
        ELSIF v_count >= v_max THEN
            o_retry_after := v_first - o_now;
            v_full := true;
        ELSE
            SELECT until_us - o_now INTO o_retry_after FROM {schema}.entries
                WHERE key = v_key AND place < coalesce(v_own, nullif(p_place, 0), 9223372036854775807)
                    AND (p_fair OR fair OR mode <> p_mode)
                ORDER BY place LIMIT 1;
            CONTINUE WHEN NOT FOUND;
            SELECT t.o_owner INTO o_head FROM {schema}.turn(v_key) AS t;
        END IF;

        -- It waits, and nothing of that must outlive a crash.
        PERFORM set_config('synchronous_commit', 'off', true);
        o_outcome := 2;
        o_key := v_index - 1;
        o_holder_remaining := coalesce(v_last - o_now, 0);
        o_number := 0;
        IF p_ttl_us > 0 AND p_queue AND (v_own IS NOT NULL OR p_place > 0 OR p_fair OR NOT v_full) THEN
            IF v_own IS NULL AND p_place = 0 AND {queue_max} <= (
                SELECT count(*) FROM {schema}.entries WHERE key = v_key AND place IS NOT NULL
            ) THEN
                o_outcome := 6;
                RETURN;
            END IF;
            -- Dropped from the queue while it was late, it gets its place back.
            o_number := coalesce(v_own, nullif(p_place, 0), {schema}.next_number(o_now, 0));
            INSERT INTO {schema}.entries AS e (key, owner, mode, until_us, place, holders_max, fair)
                VALUES (v_key, p_owner, p_mode, o_now + p_ttl_us, o_number, p_holders_max, p_fair)
                ON CONFLICT (key, owner) DO UPDATE SET until_us = excluded.until_us WHERE e.place IS NOT NULL;
        ELSIF p_ttl_us > 0 THEN
            UPDATE {schema}.entries SET wanted = true WHERE key = v_key AND NOT wanted;
        END IF;
        RETURN;
    END LOOP;

    o_outcome := 1;
    IF p_lease_us > v_clock.lease_us THEN
        UPDATE {schema}.clock SET lease_us = p_lease_us WHERE lease_us < p_lease_us;
    END IF;
    o_number := {schema}.next_number(o_now, p_fence_min);
    -- Several keys are taken exclusively, so nobody holds the last one, or any other.
    IF o_turn IS NULL THEN
        o_turn := o_number;
    ELSIF p_fence_min >= o_turn THEN
        -- For those as well who come when we have gone.
        o_turn := o_number;
        UPDATE {schema}.entries SET turn = o_turn WHERE key = p_keys[1] AND fence IS NOT NULL;
    END IF;
    INSERT INTO {schema}.entries (key, owner, mode, until_us, fence, holders_max, turn)
        SELECT k, p_owner, p_mode, v_until, o_number, p_holders_max, o_turn FROM unnest(p_keys) AS k
        ON CONFLICT (key, owner) DO UPDATE SET mode = excluded.mode, until_us = excluded.until_us,
            fence = excluded.fence, place = NULL, holders_max = excluded.holders_max, fair = NULL,
            turn = excluded.turn;
    IF p_holders_max > 1 AND EXISTS (
        SELECT FROM {schema}.entries WHERE key = p_keys[1] AND place IS NOT NULL
    ) THEN
        SELECT * INTO v_next FROM {schema}.turn(p_keys[1]);
        -- Then its own grant tells nobody.
        v_is_last_told := NOT v_next.o_fair AND v_next.o_owner = (
            SELECT owner FROM {schema}.entries WHERE key = p_keys[1] AND place IS NOT NULL ORDER BY place LIMIT 1
        );
        IF v_next.o_owner IS NOT NULL AND (p_fair OR NOT v_is_last_told) THEN
            -- Kept back by the order alone: woken together with us it may have asked first, in vain; where it need not be fair,
            -- so may all there is room for. Or those before it, who may have been told, let in too few beside us.
            PERFORM {schema}.tell(p_keys[1], o_now, p_claim_us, v_next.o_owner,
                CASE WHEN v_is_last_told THEN v_next.o_room ELSE 1 END, v_next.o_max, v_next.o_mode);
        END IF;
    END IF;
END $$;

-- An earlier one, which gave a hold another mode without its number of holders.
DROP FUNCTION IF EXISTS {schema}.renew(text[], bytea, bigint, text, bigint);

-- Prolongs a hold, and perhaps gives it another mode. Outcomes: 1 held, 0 not held; then the fence of
-- another holder or null.
CREATE OR REPLACE FUNCTION {schema}.renew(
    p_keys text[], p_owner bytea, p_lease_us bigint, p_mode text, p_claim_us bigint, p_holders_max integer,
    OUT o_outcome integer, OUT o_now bigint, OUT o_number bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_key text;
    v_count integer;
BEGIN
    o_now := {schema}.enter(p_keys);
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    SELECT count(*) INTO v_count FROM {schema}.entries
        WHERE key = ANY (p_keys) AND owner = p_owner AND fence IS NOT NULL AND until_us > o_now;
    IF v_count < cardinality(p_keys) THEN
        DELETE FROM {schema}.entries WHERE key = ANY (p_keys) AND until_us <= o_now;
        o_outcome := 0;
        o_number := {schema}.rival(p_keys, p_owner);
        RETURN;
    END IF;
    o_outcome := 1;
    UPDATE {schema}.clock SET lease_us = p_lease_us WHERE lease_us < p_lease_us;
    UPDATE {schema}.entries SET until_us = o_now + p_lease_us
        WHERE key = ANY (p_keys) AND owner = p_owner AND until_us < o_now + p_lease_us;
    IF p_mode IS NULL THEN
        RETURN;
    END IF;
    DELETE FROM {schema}.entries WHERE key = ANY (p_keys) AND until_us <= o_now;
    FOREACH v_key IN ARRAY p_keys LOOP
        SELECT count(*) INTO v_count FROM {schema}.entries WHERE key = v_key AND fence IS NOT NULL;
        IF v_count = 1 THEN
            UPDATE {schema}.entries SET mode = p_mode, holders_max = p_holders_max
                WHERE key = v_key AND owner = p_owner AND mode <> p_mode;
            IF FOUND THEN
                PERFORM {schema}.freed(v_key, o_now, p_claim_us, true);
            END IF;
        END IF;
    END LOOP;
END $$;

-- Ends a hold, gives up a place, and remembers the owner. Outcomes: 1 released, 0 not held all of them; then the
-- fence of another holder or null.
CREATE OR REPLACE FUNCTION {schema}.release(
    p_keys text[], p_owner bytea, p_remember_us bigint, p_claim_us bigint, p_wanted boolean,
    OUT o_outcome integer, OUT o_now bigint, OUT o_number bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_key text;
    v_fence bigint;
    v_wanted boolean;
    v_released boolean;
BEGIN
    o_now := {schema}.enter(p_keys);
    -- A release that a crash takes back ends with its lease.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT released INTO v_released FROM {schema}.ends WHERE owner = p_owner AND until_us > o_now;
    IF NOT FOUND THEN
        v_released := true;
        DELETE FROM {schema}.entries WHERE key = ANY (p_keys) AND until_us <= o_now;
        FOREACH v_key IN ARRAY p_keys LOOP
            SELECT coalesce(bool_or(wanted), false) INTO v_wanted FROM {schema}.entries WHERE key = v_key;
            DELETE FROM {schema}.entries WHERE key = v_key AND owner = p_owner RETURNING fence INTO v_fence;
            IF NOT FOUND THEN
                v_released := false;
                CONTINUE;
            END IF;
            v_released := v_released AND v_fence IS NOT NULL;
            -- Whoever is not in the queue stands behind it, and is told when the queue has gone.
            IF NOT {schema}.freed(v_key, o_now, p_claim_us, v_wanted OR p_wanted) AND (v_wanted OR p_wanted) THEN
                UPDATE {schema}.entries SET wanted = true WHERE key = v_key AND NOT wanted;
            END IF;
        END LOOP;
        INSERT INTO {schema}.ends VALUES (p_owner, v_released, o_now + p_remember_us)
            ON CONFLICT (owner) DO UPDATE SET released = excluded.released, until_us = excluded.until_us;
    END IF;
    o_outcome := v_released::integer;
    IF NOT v_released THEN
        o_number := {schema}.rival(p_keys, p_owner);
    END IF;
END $$;

-- The holders (by fence) and the waiters (by place) of these locks.
CREATE OR REPLACE FUNCTION {schema}.look(p_keys text[]) RETURNS TABLE (
    o_now bigint, o_key text, o_owner bytea, o_process text, o_mode text, o_until bigint, o_fence bigint,
    o_place bigint, o_fair boolean, o_wanted boolean
) LANGUAGE plpgsql AS $$
BEGIN
    o_now := {schema}.now_us();
    RETURN QUERY SELECT o_now, e.key, e.owner, p.name, e.mode, e.until_us, e.fence, e.place, e.fair, e.wanted
        FROM {schema}.entries AS e LEFT JOIN {schema}.processes AS p ON p.id = substr(e.owner, 1, 8)
        WHERE e.key = ANY (p_keys) AND e.until_us > o_now
        ORDER BY e.key, e.place NULLS FIRST, e.fence;
END $$;

-- The same of so many locks whose keys begin so.
CREATE OR REPLACE FUNCTION {schema}.list(p_prefix text, p_max bigint) RETURNS TABLE (
    o_now bigint, o_key text, o_owner bytea, o_process text, o_mode text, o_until bigint, o_fence bigint,
    o_place bigint, o_fair boolean, o_wanted boolean
) LANGUAGE sql AS $$
    SELECT * FROM {schema}.look(ARRAY(
        SELECT DISTINCT key FROM {schema}.entries
            WHERE starts_with(key, p_prefix) AND until_us > (SELECT {schema}.now_us()) ORDER BY key LIMIT p_max))
$$;

-- Ends holds of others, tells them, and takes a fence for nobody, which comes last, without an owner.
CREATE OR REPLACE FUNCTION {schema}.break_holds(p_key text, p_owners bytea[], p_claim_us bigint)
RETURNS TABLE (o_owner bytea, o_fence bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_now bigint := {schema}.enter(ARRAY[p_key]);
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    DELETE FROM {schema}.entries WHERE key = p_key AND until_us <= v_now;
    FOR o_owner, o_fence IN
        DELETE FROM {schema}.entries WHERE key = p_key AND owner = ANY (p_owners) AND fence IS NOT NULL
            RETURNING owner, fence
    LOOP
        PERFORM pg_notify('{schema}', concat('!', encode(o_owner, 'hex'), E'\n\n\n\n', p_key));
        RETURN NEXT;
    END LOOP;
    o_fence := {schema}.next_number(v_now, 0);
    IF o_owner IS NOT NULL THEN
        -- Whoever joins those that are left comes after those that are not.
        UPDATE {schema}.entries SET turn = o_fence WHERE key = p_key AND fence IS NOT NULL;
        PERFORM {schema}.freed(p_key, v_now, p_claim_us, true);
    END IF;
    o_owner := NULL;
    RETURN NEXT;
END $$;

-- For how long a row may last where the longest lease is this one. A waiter that lives comes back sooner, or gets its place
-- again when it does.
CREATE OR REPLACE FUNCTION {schema}.lasts_us(p_fence bigint, p_lease_us bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_fence IS NULL AND p_lease_us < 60000000 THEN 60000000 ELSE p_lease_us END
$$;

-- Removes what has ended and nobody asked for since, and notes what the caller is called. Never waits for a step.
-- Returns whether there may be more to remove than it did.
CREATE OR REPLACE FUNCTION {schema}.sweep_some(p_process bytea, p_name text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_max CONSTANT bigint := 10000;
    v_now bigint := {schema}.now_us();
    v_lease bigint;
    v_count bigint;
    v_more boolean := false;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    IF p_name <> '' AND NOT EXISTS (
        SELECT FROM {schema}.processes WHERE id = p_process AND seen_us > v_now - 3600000000
    ) THEN
        INSERT INTO {schema}.processes VALUES (p_process, p_name, v_now)
            ON CONFLICT (id) DO UPDATE SET seen_us = excluded.seen_us;
        DELETE FROM {schema}.processes WHERE seen_us < v_now - 86400000000;
    END IF;
    -- What lasts longer than the longest lease was given before the clock was set back. Nobody is given a longer one
    -- meanwhile.
    IF EXISTS (
        SELECT FROM {schema}.clock AS c WHERE calm_at_us > v_now + lease_us + 5000000 OR EXISTS (
            SELECT FROM {schema}.entries
                WHERE until_us > v_now + {schema}.lasts_us(fence, c.lease_us) + 5000000)
    ) THEN
        SELECT lease_us INTO v_lease FROM {schema}.clock FOR UPDATE SKIP LOCKED;
        UPDATE {schema}.clock SET calm_at_us = v_now + v_lease WHERE calm_at_us > v_now + v_lease;
        UPDATE {schema}.entries SET until_us = v_now + {schema}.lasts_us(fence, v_lease) WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {schema}.entries WHERE until_us > v_now + {schema}.lasts_us(fence, v_lease) + 5000000
            LIMIT v_max FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_more := v_count = v_max;
    END IF;
    DELETE FROM {schema}.entries WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.entries WHERE until_us <= {schema}.now_us() - 60000000
        LIMIT v_max FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_more := v_more OR v_count = v_max;
    DELETE FROM {schema}.ends WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.ends WHERE until_us <= {schema}.now_us()
        LIMIT v_max FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_more OR v_count = v_max;
END $$;

-- For earlier programs, which are told nothing and may make the schema again.
CREATE OR REPLACE FUNCTION {schema}.sweep(p_process bytea, p_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {schema}.sweep_some(p_process, p_name);
END $$;

CREATE OR REPLACE FUNCTION {schema}.version() RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT {version} $$;
