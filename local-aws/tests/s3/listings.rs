//! Pages of keys.

use crate::{code, put, start};

#[tokio::test]
async fn listings_come_in_pages() {
    let (stack, s3) = start().await;
    for number in 0..25 {
        put(&s3, &format!("a/{number:02}"), "x").await;
    }
    put(&s3, "b/1/deep", "xyz").await;
    put(&s3, "b/2", "xyz").await;

    let mut pages = s3.list_objects_v2().bucket("layers").max_keys(10).into_paginator().send();
    let mut keys = Vec::new();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push(page.contents().len());
        keys.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(sizes, [10, 10, 7]);
    assert!(keys.is_sorted());
    assert_eq!(keys.len(), 27);

    let call = s3.list_objects_v2().bucket("layers").prefix("b/").delimiter("/");
    let page = call.send().await.unwrap();
    assert_eq!(page.common_prefixes()[0].prefix(), Some("b/1/"));
    assert_eq!((page.contents()[0].key(), page.contents()[0].size()), (Some("b/2"), Some(3)));
    assert!(page.contents()[0].e_tag().is_some() && page.contents()[0].last_modified().is_some());

    let call = s3.list_objects_v2().bucket("layers").start_after("a/23");
    let page = call.send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("a/24"));
    let page = s3.list_objects().bucket("layers").marker("a/23").max_keys(1).send().await.unwrap();
    assert_eq!((page.is_truncated(), page.contents()[0].key()), (Some(true), Some("a/24")));
    stack.stop().await;
}

#[tokio::test]
async fn a_page_begins_where_a_token_says() {
    let (stack, s3) = start().await;
    for key in ["a", "b", "c"] {
        put(&s3, key, "x").await;
    }
    let list = || s3.list_objects_v2().bucket("layers");
    let page = list().max_keys(1).send().await.unwrap();
    let token = page.next_continuation_token().unwrap();
    assert_ne!(token, "a");
    let page = list().continuation_token(token).send().await.unwrap();
    assert_eq!(page.contents()[0].key(), Some("b"));
    for wrong in ["", "a", "YQ==", "%"] {
        assert_eq!(code(list().continuation_token(wrong).send().await), "InvalidArgument");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_listing_has_its_bounds() {
    let (stack, s3) = start().await;
    for key in ["a/1", "a/2", "b"] {
        put(&s3, key, "x").await;
    }
    let list = || s3.list_objects_v2().bucket("layers");
    assert_eq!(list().max_keys(5000).send().await.unwrap().max_keys(), Some(1000));
    let none = list().max_keys(0).send().await.unwrap();
    assert_eq!((none.key_count(), none.is_truncated()), (Some(0), Some(false)));
    assert_eq!(code(list().max_keys(-1).send().await), "InvalidArgument");
    assert_eq!(code(list().encoding_type("rot13".into()).send().await), "InvalidArgument");

    // Without a delimiter the next page begins after the last key, which has no marker.
    let first = || s3.list_objects().bucket("layers").max_keys(1);
    assert_eq!(first().send().await.unwrap().next_marker(), None);
    assert_eq!(first().delimiter("/").send().await.unwrap().next_marker(), Some("a/"));
    assert_eq!(code(first().max_keys(-1).send().await), "InvalidArgument");
    stack.stop().await;
}
