//! The object's bytes, and what they say.

super::cases! {
    [ObjectTooLarge]: "the object, or what it decompresses to, is larger than `maxObjectBytes`"
        => too_large()
            "Raise `maxObjectBytes`, or split the export: a file may hold the newest days only, since \
             days that it does not name are kept.";

    [BodyInterrupted]: "the connection ended before the object did or stalled for 20 seconds, and did so \
        again where it was gone on with; or the bytes that arrived do not have the object's checksum"
        => interrupted()
            "The data are as before. Nothing needs a change unless it lasts; then look at proxies and \
             gateways between the operator and S3.";

    [InvalidCsv], "another format": "a Parquet file, a workbook, a zip archive or another file that is no text"
        => other_format()
            "Let the export write CSV as plain text, or compressed by gzip or zstd.";

    [InvalidCsv], "\"not valid gzip\"": "it was stored broken"
        => broken_gzip()
            "Compress and upload it again, whole; `gzip -t` tells whether it is.";

    [InvalidCsv], "\"not valid zstd\"": "it was stored broken, or asks for a window of more than 8 MiB"
        => broken_zstd()
            "Compress and upload it again, whole, with `zstd` at level 19 or below and without --long.";

    [InvalidCsv], "line and column": "the file is not what the data source expects"
        => nothing_imported()
            "Nothing was imported; `sumsq check` lists the problems before an upload";
        "Before that stands the hint of the first problem: [the codes of a file](#the-codes-of-a-file).";

    [IntegrityProblem]: "numbers that no set of visitors can have, with `onIntegrityProblem: Reject`"
        => imported_with_warn()
            "Nothing was imported; with onIntegrityProblem: Warn in the data source the file \
             is imported all the same, and its reports say so";
        "The same stands before it.";
}
