-- The ledger. Rows of accounts and channels are updated in place (HOT): half of each page is left free, and no index has what changes.
CREATE TABLE accounts (id int4 PRIMARY KEY, balance int8 NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
-- moved is by how much the last advance has moved the total: what an UPDATE of PostgreSQL 15 can return of what was there before.
CREATE TABLE channels (id int4 PRIMARY KEY, payer int4 NOT NULL, payee int4 NOT NULL, funds int8 NOT NULL,
	total int8 NOT NULL DEFAULT 0, moved int8 NOT NULL DEFAULT 0) WITH (fillfactor = 50);
CREATE TABLE works (id int4 PRIMARY KEY, seller int4 NOT NULL, price int8 NOT NULL, secret bytea NOT NULL);
CREATE TABLE owned (payer int4, work int4, price int8 NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (payer, work));
CREATE TABLE transfers (id uuid PRIMARY KEY, payer int4 NOT NULL, payee int4 NOT NULL, amount int8 NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE advances (payer int4 NOT NULL, channel int4 NOT NULL, total int8 NOT NULL, at timestamptz NOT NULL DEFAULT now());

-- One payment. 1: done, 2: was done before, 3: refused for want of money, 4: refused for another reason.
CREATE FUNCTION advance(who int4, c int4, t int8) RETURNS int2 LANGUAGE plpgsql AS $$
DECLARE
	gain int8;
	whom int4;
BEGIN
	UPDATE channels k SET moved = t - k.total, total = t WHERE k.id = c AND k.payer = who AND k.total < t AND t <= k.funds
		RETURNING k.payee, k.moved INTO whom, gain;
	IF NOT FOUND THEN
		PERFORM 1 FROM channels k WHERE k.id = c AND k.payer = who AND t <= k.total;
		RETURN CASE WHEN FOUND THEN 2 ELSE 4 END;
	END IF;
	{{LINE}} INSERT INTO advances (payer, channel, total) VALUES (who, c, t);
	UPDATE accounts SET balance = balance + gain WHERE id = whom;
	RETURN 1;
END $$;

-- The row that all others may wait for is the payee's: it is the last to be touched.
CREATE FUNCTION transfer(who int4, whom int4, a int8, i uuid) RETURNS int2 LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO transfers (id, payer, payee, amount) VALUES (i, who, whom, a) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		PERFORM 1 FROM transfers WHERE id = i AND payer = who AND payee = whom AND amount = a;
		RETURN CASE WHEN FOUND THEN 2 ELSE 4 END;
	END IF;
	UPDATE accounts SET balance = balance - a WHERE id = who AND balance >= a;
	IF NOT FOUND THEN
		DELETE FROM transfers WHERE id = i;
		RETURN 3;
	END IF;
	UPDATE accounts SET balance = balance + a WHERE id = whom;
	RETURN 1;
END $$;

CREATE FUNCTION unlock(who int4, w int4, most int8, OUT outcome int2, OUT key bytea) LANGUAGE plpgsql AS $$
DECLARE
	k works;
BEGIN
	SELECT * INTO k FROM works WHERE id = w;
	IF NOT FOUND THEN
		outcome := 4;
		RETURN;
	END IF;
	PERFORM 1 FROM owned WHERE payer = who AND work = w;
	IF FOUND THEN
		outcome := 2;
		key := k.secret;
		RETURN;
	END IF;
	IF k.price > most THEN
		outcome := 4;
		RETURN;
	END IF;
	INSERT INTO owned (payer, work, price) VALUES (who, w, k.price) ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		outcome := 2;
		key := k.secret;
		RETURN;
	END IF;
	UPDATE accounts SET balance = balance - k.price WHERE id = who AND balance >= k.price;
	IF NOT FOUND THEN
		DELETE FROM owned WHERE payer = who AND work = w;
		outcome := 3;
		RETURN;
	END IF;
	UPDATE accounts SET balance = balance + k.price - k.price / 100 WHERE id = k.seller;
	outcome := 1;
	key := k.secret;
END $$;

-- A batch of one payer: advances, transfers and works, set by set. Where all of a kind were done now, its answer is null; else it has those that
-- were, and the others had been done before. Whatever is refused ends it all with MR001: the caller then takes one_by_one.
-- Rows are locked in the order of their keys, channels first, then the payer, then all who are paid, each once: batches do not deadlock.
CREATE FUNCTION batch(who int4, cs int4[], ts int8[], ids uuid[], tos int4[], amounts int8[], ws int4[], most int8,
	OUT went int4[], OUT fresh uuid[], OUT bought int4[]) LANGUAGE plpgsql AS $$
DECLARE
	asked int8;
	done int8;
	spent int8 := 0;
	part int8;
	a_to int4[]; a_sum int8[];
	t_to int4[]; t_sum int8[];
	w_to int4[]; w_sum int8[];
BEGIN
	IF cardinality(cs) > 0 THEN
		WITH want AS (SELECT c, max(t) AS t FROM unnest(cs, ts) AS u(c, t) GROUP BY c ORDER BY c),
		moving AS (UPDATE channels k SET moved = want.t - k.total, total = want.t FROM want
			WHERE k.id = want.c AND k.payer = who AND k.total < want.t AND want.t <= k.funds RETURNING k.id, k.payee, k.moved)
		SELECT (SELECT count(*) FROM want), count(*), array_agg(id), array_agg(payee), array_agg(moved)
			INTO asked, done, went, a_to, a_sum FROM moving;
		IF asked = done THEN
			went := NULL;
			{{LINE}} INSERT INTO advances (payer, channel, total) SELECT who, c, t FROM unnest(cs, ts) AS u(c, t);
		ELSE
			PERFORM 1 FROM unnest(cs, ts) AS u(c, t) LEFT JOIN channels k ON k.id = u.c AND k.payer = who WHERE k.id IS NULL OR u.t > k.total;
			IF FOUND THEN
				RAISE EXCEPTION 'an advance is refused' USING ERRCODE = 'MR001';
			END IF;
			went := coalesce(went, '{}');
			{{LINE}} INSERT INTO advances (payer, channel, total) SELECT who, c, t FROM unnest(cs, ts) AS u(c, t) WHERE c = ANY (went);
		END IF;
	END IF;
	IF cardinality(ids) > 0 THEN
		WITH paid AS (INSERT INTO transfers (id, payer, payee, amount) SELECT i, who, p, a FROM unnest(ids, tos, amounts) AS u(i, p, a)
			ON CONFLICT DO NOTHING RETURNING id, payee, amount)
		SELECT count(*), coalesce(sum(amount), 0), array_agg(id), array_agg(payee), array_agg(amount) INTO done, part, fresh, t_to, t_sum FROM paid;
		spent := spent + part;
		fresh := CASE WHEN done = cardinality(ids) THEN NULL ELSE coalesce(fresh, '{}') END;
	END IF;
	IF cardinality(ws) > 0 THEN
		WITH got AS (INSERT INTO owned (payer, work, price)
			SELECT who, k.id, k.price FROM (SELECT DISTINCT w FROM unnest(ws) AS u(w) ORDER BY w) d JOIN works k ON k.id = d.w WHERE k.price <= most
			ON CONFLICT DO NOTHING RETURNING work)
		SELECT coalesce(sum(k.price), 0), coalesce(array_agg(k.id), '{}'), array_agg(k.seller), array_agg(k.price - k.price / 100)
			INTO part, bought, w_to, w_sum FROM got JOIN works k ON k.id = got.work;
		spent := spent + part;
		PERFORM 1 FROM unnest(ws) AS u(w) WHERE NOT EXISTS (SELECT 1 FROM owned o WHERE o.payer = who AND o.work = u.w);
		IF FOUND THEN
			RAISE EXCEPTION 'an unlock is refused' USING ERRCODE = 'MR001';
		END IF;
	END IF;
	IF spent > 0 THEN
		UPDATE accounts SET balance = balance - spent WHERE id = who AND balance >= spent;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'the payer has not enough' USING ERRCODE = 'MR001';
		END IF;
	END IF;
	UPDATE accounts a SET balance = a.balance + d.s FROM (SELECT p, sum(s)::int8 AS s FROM
		(SELECT * FROM unnest(a_to, a_sum) UNION ALL SELECT * FROM unnest(t_to, t_sum) UNION ALL SELECT * FROM unnest(w_to, w_sum)) AS u(p, s)
		GROUP BY p ORDER BY p) d WHERE a.id = d.p;
END $$;

-- The same, in the order of the ops, each refused for itself. Kinds are 1: advance, 2: transfer, 3: unlock. All rows that it may touch are locked
-- first, in the order of batch: the ops themselves come in any.
CREATE FUNCTION one_by_one(who int4, kinds int2[], objects int4[], amounts int8[], ids uuid[]) RETURNS int2[] LANGUAGE plpgsql AS $$
DECLARE
	answers int2[] := '{}';
BEGIN
	PERFORM 1 FROM channels WHERE id IN (SELECT o FROM unnest(kinds, objects) AS u(k, o) WHERE k = 1) ORDER BY id FOR UPDATE;
	PERFORM 1 FROM accounts WHERE id = who FOR UPDATE;
	PERFORM 1 FROM accounts WHERE id IN (
		SELECT c.payee FROM unnest(kinds, objects) AS u(k, o) JOIN channels c ON c.id = o WHERE k = 1
		UNION SELECT o FROM unnest(kinds, objects) AS u(k, o) WHERE k = 2
		UNION SELECT w.seller FROM unnest(kinds, objects) AS u(k, o) JOIN works w ON w.id = o WHERE k = 3) ORDER BY id FOR UPDATE;
	FOR i IN 1 .. cardinality(kinds) LOOP
		answers := answers || CASE kinds[i]
			WHEN 1 THEN advance(who, objects[i], amounts[i])
			WHEN 2 THEN transfer(who, objects[i], amounts[i], ids[i])
			ELSE (SELECT outcome FROM unlock(who, objects[i], amounts[i])) END;
	END LOOP;
	RETURN answers;
END $$;

CREATE FUNCTION history(whose int4) RETURNS TABLE (moment timestamptz, what int2, object int4, amount int8) LANGUAGE sql STABLE AS $$
	(SELECT at, 1::int2, channel, total FROM advances WHERE payer = whose ORDER BY at DESC LIMIT 100)
	UNION ALL (SELECT at, 2::int2, payee, amount FROM transfers WHERE payer = whose ORDER BY at DESC LIMIT 100)
	UNION ALL (SELECT at, 3::int2, work, price FROM owned WHERE payer = whose ORDER BY at DESC LIMIT 100)
	ORDER BY 1 DESC LIMIT 100
$$;
