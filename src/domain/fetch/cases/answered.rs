//! S3 has answered, and refused.

super::cases! {
    [AccessDenied], "the message names `s3:ListBucket`": "most often the file is not there"
        => key_may_not_exist(key, bucket)
            "The key {key:?} may not exist in bucket {bucket}: compare `key` with the bucket's contents. \
             To a reader without s3:ListBucket, S3 says AccessDenied where it would say NoSuchKey.";

    [AccessDenied], "the message names `s3:GetObject`": "reading is not granted"
        => grant_reading(bucket, key, reader)
            "Grant s3:GetObject on {bucket}/{key} to {reader}: the statement is ready for the bucket's policy.",
        both_policies()
            " The reader is of another account than the bucket, so both policies must allow it.";

    [AccessDenied], "\"Access Denied\" and no more":
        "either of the two above, or a KMS key; across accounts AWS does not say"
        => granted_already()
            " Where that is granted already, compare `key` with the bucket's contents: to a reader \
             without s3:ListBucket, S3 says AccessDenied for a missing key too.";
        "Where S3 shows the object's properties but not its content, the hint says that the KMS key is the reason.";

    [AccessDenied], "nobody knows the reader's ARN": "reading is not granted"
        => grant_reading_to_whom(bucket, key, who)
            "Grant s3:GetObject on {bucket}/{key} to {who}; `aws sts get-caller-identity` with its \
             credentials tells its ARN.";

    [AccessDenied], "the message says `explicit deny`": "a policy forbids it"
        => except_from_denial(reader)
            "A policy denies this explicitly, and no grant outweighs that: find the Deny statement \
             in the policy that the message names, and except {reader} from it.";

    [AccessDenied], "the message names `kms:Decrypt` or a ciphertext":
        "the object is under a KMS key that the reader may not use"
        => grant_decrypting(kms_key, reader)
            "Grant kms:Decrypt on {kms_key} to {reader}: the statement is ready for the key's policy.",
        both_key_policies()
            " The reader is of another account, so its own policy must allow it too, and the key must \
             not be the AWS managed one (aws/s3), which can't be shared.";

    [AccessDenied], "about the key, and nobody knows the reader's ARN":
        "the object is under a KMS key that the reader may not use"
        => grant_decrypting_to_whom(kms_key, who)
            "Grant kms:Decrypt on {kms_key} to {who}; `aws sts get-caller-identity` with its credentials \
             tells its ARN.";

    [AccessDenied], "the hint names `accountId`": "the bucket is not owned by that account"
        => other_owner(account, bucket)
            "`accountId` {account} is not the owner of bucket {bucket}: the same request without it is \
             answered. Correct `accountId`; where it is right, the bucket is no longer yours, and its \
             contents are somebody else's.";
        "See [permissions.md](permissions.md).";

    [NoSuchKey]: "there is no such file"
        => no_such_key(key, bucket)
            "There is no {key:?} in bucket {bucket}: compare `key` with the bucket's contents. Case \
             counts, and folders are part of the key.";
        "It begins with no slash.";

    [NoSuchBucket]: "there is no such bucket"
        => no_such_bucket(bucket, address)
            "There is no bucket {bucket:?} at {address}: `bucket` takes the bucket's name, not its ARN or URL.";

    [PermanentRedirect, AuthorizationHeaderMalformed, IllegalLocationConstraintException], "the answer tells the region":
        "the bucket is in another region, or another partition of AWS"
        => set_region(region, bucket, region_given)
            "Set `region` to {region}: bucket {bucket} is there, not in {region_given}.";

    [PermanentRedirect, AuthorizationHeaderMalformed, IllegalLocationConstraintException], "the answer does not tell it":
        "the same"
        => find_region(bucket, region_given)
            "Set `region` to the one that bucket {bucket} is in; {region_given} is not it. \
             `aws s3api get-bucket-location --bucket {bucket}` tells it.";

    [InvalidAccessKeyId]: "nobody has this access key"
        => unknown_access_key(credential)
            "{credential}: nobody has this access key. It may be deleted or inactive, or belong to another \
             partition of AWS or another store; write a current pair of keys.";

    [InvalidAccessKeyId], "it begins with `ASIA`": "a temporary key without its token"
        => lacks_session_token(credential)
            "{credential}: a key that begins with ASIA is temporary and needs its sessionToken beside it.";

    [InvalidAccessKeyId, ExpiredToken], "from a role's session": "the session is over"
        => session_over(session)
            "{session}: it has ended, or was ended. The next attempt asks for another.";

    [SignatureDoesNotMatch]: "the secret key is not the access key's"
        => other_secret_key(credential)
            "{credential}: it is not the one that belongs to the access key. Write the pair anew, both \
             from the same place.";

    [ExpiredToken], "from a Secret": "temporary credentials have ended"
        => write_all_three(credential)
            "{credential}: these credentials were temporary and have ended. Write accessKeyId, \
             secretAccessKey and sessionToken anew, all three together.";

    [ExpiredToken], "from the operator itself": "what renews its credentials has stopped"
        => own_credentials_ended()
            "The operator's own credentials have ended. Check what renews them: the service account's \
             token, the node's role, or the session of a profile.";

    [RequestTimeTooSkewed]: "a clock is wrong by more than 15 minutes"
        => clock_off(time, ahead_or_behind)
            "The clock of the operator's node is {time} {ahead_or_behind} the server's: let the node keep time \
             (chrony, systemd-timesyncd).";

    [RequestTimeTooSkewed], "the answer has no date": "the same"
        => clock_wrong()
            "The clock of the operator's node is wrong: let the node keep time (chrony, systemd-timesyncd).";

    [RequestTimeTooSkewed], "by now both agree": "it was, when the request was signed"
        => clocks_agree()
            "The server's clock and that of the operator's node agree at this moment: let the node keep \
             time (chrony, systemd-timesyncd).";

    [InvalidObjectState]: "the object is archived (Glacier, Deep Archive)"
        => archived(key)
            "{key:?} is archived: restore it, and let the export write to a storage class that can be read \
             at once.";

    [InvalidRequest], "the message speaks of encryption": "the object is encrypted with a key that the client sends"
        => customer_key(key)
            "{key:?} is encrypted with a key of the customer's own (SSE-C), which can't be read here: let \
             the export use SSE-KMS or SSE-S3.";

    [InvalidRequest], "\"the request cannot be made\"": "a field holds what no address can"
        => odd_characters()
            "Check `region`, `bucket`, `key` and `endpoint` for characters that do not belong there, such as spaces.";

    [ObjectChanged]: "the object was replaced before all of it was read"
        => object_changed()
            "The object was replaced while it was being read. The data are as before, and nothing needs a change.";

    [ObjectChanged], "while its bytes came": "the same"
        => object_changed_on_the_way()
            "The data are as before, and nothing needs a change: the next attempt reads the new one.";

    [SlowDown]: "S3 asks for fewer requests"
        => slow_down(address)
            "{address} asks for fewer requests. Nothing needs a change unless it lasts; then spread the \
             schedules of sources that read one bucket.";

    [InternalError, ServiceUnavailable, BadGateway, GatewayTimeout, Timeout], "by its answer":
        "S3, or a proxy before it, is unavailable"
        => unavailable(address)
            "{address} is unavailable at the moment. Nothing needs a change unless it lasts.";

    [S3Error], "code `KMS.DisabledException` and others that begin with `KMS.`":
        "the key is disabled or about to be deleted"
        => enable_key()
            "Enable the KMS key under which the object is encrypted, or cancel its deletion.";

    [S3Error], "code `InvalidToken`": "the Secret's `sessionToken` belongs to other keys"
        => other_session_token(credential)
            "{credential}: it does not belong to the access key. Write accessKeyId, secretAccessKey and \
             sessionToken anew, all three together.";

    [S3Error], "code `InvalidBucketName`": "no bucket can have this name"
        => bucket_name()
            "`bucket` takes the bucket's name, not its ARN or URL.";

    [S3Error, InvalidRequest], "any other code or message": "something else, in S3's own words"
        => own_words()
            "The code and the message are S3's own; its documentation lists them under \"Error responses\".";
        "[That is here](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).";

    [S3Error], "\"answered 404 without a message\"": "what stands at `endpoint` is not an S3 server"
        => not_s3(address)
            "{address} did not answer as S3 does: check that `endpoint` is an S3 endpoint, and `forcePathStyle`.";
}
