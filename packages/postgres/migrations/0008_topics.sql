-- Up Migration
-- Topics are hierarchical: whoever tells `city` asks for everything that begins with `city.`, in byte order.
CREATE INDEX subscriptions_below ON subscriptions (tenant_id, topic COLLATE "C", user_id);
