//! Conditional reads, writes, deletions and copies.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use crate::{code, content, head, put, start, status};

fn date(text: &str) -> DateTime {
    DateTime::from_str(text, DateTimeFormat::DateTime).unwrap()
}

#[tokio::test]
async fn reads_depend_on_entity_tag_and_date() {
    let (stack, s3) = start().await;
    put(&s3, "k", "body").await;
    let object = s3.head_object().bucket("layers").key("k").send().await.unwrap();
    let (e_tag, modified) = (object.e_tag.unwrap(), object.last_modified.unwrap());
    let (past, future) = (date("2001-01-01T00:00:00Z"), date("2999-01-01T00:00:00Z"));
    let get = || s3.get_object().bucket("layers").key("k");
    for (call, expected) in [
        (get().if_match(&e_tag), 200),
        (get().if_match("*"), 200),
        (get().if_match("\"other\""), 412),
        (get().if_none_match(&e_tag), 304),
        (get().if_none_match("*"), 304),
        (get().if_none_match("\"other\""), 200),
        (get().if_modified_since(past), 200),
        (get().if_modified_since(modified), 304),
        (get().if_modified_since(future), 200),
        (get().if_unmodified_since(past), 412),
        (get().if_unmodified_since(modified), 200),
        (get().if_unmodified_since(future), 200),
        // An entity tag makes the date irrelevant.
        (get().if_match(&e_tag).if_unmodified_since(past), 200),
        (get().if_none_match("\"other\"").if_modified_since(modified), 200),
    ] {
        assert_eq!(status(call.send().await), expected);
    }
    let head = || s3.head_object().bucket("layers").key("k");
    assert_eq!(status(head().if_match("\"other\"").send().await), 412);
    assert_eq!(status(head().if_none_match(&e_tag).send().await), 304);
    assert_eq!(status(head().if_match(&e_tag).send().await), 200);
    let missing = s3.get_object().bucket("layers").key("none").if_match(&e_tag);
    assert_eq!(code(missing.send().await), "NoSuchKey");
    stack.stop().await;
}

#[tokio::test]
async fn writes_depend_on_the_object_of_before() {
    let (stack, s3) = start().await;
    put(&s3, "k", "before").await;
    let object = s3.head_object().bucket("layers").key("k").send().await.unwrap();
    let e_tag = object.e_tag.unwrap();
    let put_object = |key: &str| s3.put_object().bucket("layers").key(key);
    for (call, expected) in [
        (put_object("k").if_none_match("*"), "PreconditionFailed"),
        (put_object("k").if_match("\"other\""), "PreconditionFailed"),
        (put_object("none").if_match(&e_tag), "NoSuchKey"),
        (put_object("k").if_match("*"), "NotImplemented"),
        (put_object("k").if_none_match(&e_tag), "NotImplemented"),
        (put_object("k").if_match(&e_tag).if_none_match("*"), "NotImplemented"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    assert_eq!(content(&s3, "k").await, b"before");
    assert_eq!(head(&s3, "layers", "none").await, 404);
    put_object("k").if_match(&e_tag).send().await.unwrap();
    put_object("none").if_none_match("*").send().await.unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn deletions_depend_on_the_object_of_before() {
    let (stack, s3) = start().await;
    put(&s3, "k", "body").await;
    let object = s3.head_object().bucket("layers").key("k").send().await.unwrap();
    let delete = |key: &str| s3.delete_object().bucket("layers").key(key);
    assert_eq!(code(delete("k").if_match("\"other\"").send().await), "PreconditionFailed");
    assert_eq!(code(delete("none").if_match("*").send().await), "NoSuchKey");
    assert_eq!(code(delete("k").if_match_size(4).send().await), "NotImplemented");
    assert_eq!(content(&s3, "k").await, b"body");
    delete("k").if_match(object.e_tag.unwrap()).send().await.unwrap();
    assert_eq!(head(&s3, "layers", "k").await, 404);
    stack.stop().await;
}

#[tokio::test]
async fn copies_depend_on_both_objects() {
    let (stack, s3) = start().await;
    put(&s3, "from", "body").await;
    put(&s3, "there", "before").await;
    let object = s3.head_object().bucket("layers").key("from").send().await.unwrap();
    let (e_tag, modified) = (object.e_tag.unwrap(), object.last_modified.unwrap());
    let past = date("2001-01-01T00:00:00Z");
    let copy = |to: &str| s3.copy_object().bucket("layers").key(to).copy_source("layers/from");
    for (call, expected) in [
        (copy("to").copy_source_if_match("\"other\""), "PreconditionFailed"),
        (copy("to").copy_source_if_none_match(&e_tag), "PreconditionFailed"),
        (copy("to").copy_source_if_modified_since(modified), "PreconditionFailed"),
        (copy("to").copy_source_if_unmodified_since(past), "PreconditionFailed"),
    ] {
        assert_eq!(code(call.send().await), expected);
    }
    assert_eq!(head(&s3, "layers", "to").await, 404);
    for (name, value, key, expected) in [
        ("if-none-match", "*", "there", "PreconditionFailed"),
        ("if-match", "\"other\"", "there", "PreconditionFailed"),
        ("if-match", "\"other\"", "to", "NoSuchKey"),
        ("if-match", "*", "there", "NotImplemented"),
        ("if-none-match", "\"other\"", "to", "NotImplemented"),
    ] {
        let call = copy(key).customize().mutate_request(move |request| {
            request.headers_mut().insert(name, value);
        });
        assert_eq!(code(call.send().await), expected, "{name}: {value}");
    }
    assert_eq!(content(&s3, "there").await, b"before");
    let call = copy("to").copy_source_if_match(&e_tag).copy_source_if_unmodified_since(past);
    let copied = call.send().await.unwrap().copy_object_result.unwrap();
    assert_eq!(copied.e_tag(), Some(&*e_tag));
    stack.stop().await;
}
