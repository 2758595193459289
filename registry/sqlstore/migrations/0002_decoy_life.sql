-- +goose Up
-- A handle is drawn again from key, decoy and counter with the model it names.
-- burnt_at: the decoy became known as one; its finds are matched but weigh less.
-- recalled_at: the platform took it down; it is shown to nobody any more.
-- successor: the decoy planted in its place. Neither a decoy nor its handle ever goes.
ALTER TABLE decoys ADD COLUMN handle_counter INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decoys ADD COLUMN handle_model   TEXT    NOT NULL DEFAULT '';
ALTER TABLE decoys ADD COLUMN burnt_at       INTEGER;
ALTER TABLE decoys ADD COLUMN recalled_at    INTEGER;
ALTER TABLE decoys ADD COLUMN successor      INTEGER REFERENCES decoys (num);
ALTER TABLE decoys ADD COLUMN life_note      TEXT    NOT NULL DEFAULT '';
