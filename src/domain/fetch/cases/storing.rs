//! What was read could not be kept.

super::cases! {
    [StoreFull]: "the store has no room left"
        => store_full()
            "nothing was changed and the data of earlier fetches are served; give the store's volume \
             more room";
        "See [the runbook](runbooks/SumsqStoreFull.md).";

    [StoreFull], "the message names a folder": "the folder for rows of files that are larger than memory has none"
        => spill_full()
            "nothing was changed and the data of earlier fetches are served; a file that is too large \
             for memory needs up to its own size there for a while: give the volume more room, or name \
             another folder with --spill-dir";

    [StoreError]: "the store could not be written"
        => still_served(remedy)
            "nothing was changed and the data of earlier fetches are served; {remedy}";
        "REMEDY is one of those below.";

    [StoreError], "cannot be reached": "the database is down, or the way to it"
        => database_unreachable()
            "it is tried again, as soon as the database is back that will do; see whether it runs, \
             and whether the operator's network policy lets it through";

    [StoreError], "refuses": "the user or the password, or what the user may do"
        => database_refuses()
            "compare the Secret's user and password with the database's; the user must own the \
             database's tables";

    [StoreError], "no database": "there is none of that name"
        => no_database()
            "make the database, owned by the store's user";

    [StoreError], "takes no changes": "the database is read-only, most often a standby"
        => read_only_database()
            "after a failover the address must lead to the new primary; else look for \
             default_transaction_read_only";

    [StoreError], "does not answer in time": "a lock, or load"
        => slow_database()
            "it is tried again; look for locks and load in the database, and at statement_timeout";

    [StoreError], "was removed or replaced": "SQLite's file is another than the one that was opened"
        => store_replaced()
            "restart the operator, which then fetches everything anew";

    [StoreError], "anything else": "the store's own reason, which is not for everybody's eyes"
        => see_the_log()
            "the operator's log has the cause";

    [StoreError], "a bug": "the operator failed over this one file; the others go on"
        => a_bug()
            "nothing was changed; the operator's log has the details: please report them";
}
