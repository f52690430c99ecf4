-- Dead letters are bounded, the oldest go first: how many went is kept, so that nobody takes their absence for success.
alter table subscriptions add column dropped bigint not null default 0;
