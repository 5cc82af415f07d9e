//! Any bytes: a check refuses them, or every decision ends within the proven cost. Nothing panics, checked or not.
#![cfg_attr(fuzzing, no_main)]

use tidelock_policy::{
    Attribute, Context, Entity, EntityRef, IMAGE_VERSION, Image, ImageError, Request, Value,
};

tidelock_fuzz::target!(|bytes: &[u8]| {
    hold(bytes);
    hold(&mended(bytes));
});

/// The bytes with the header that would be theirs, so that the fuzzer need not guess lengths and sums.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut image = bytes.to_vec();
    let Ok(len) = u32::try_from(image.len()) else {
        return image;
    };
    if len < 20 {
        return image;
    }
    image[..4].copy_from_slice(b"TLPI");
    image[4..6].copy_from_slice(&IMAGE_VERSION.to_le_bytes());
    image[8..12].copy_from_slice(&len.to_le_bytes());
    image[12..20].fill(0);
    // The sum, so that the cost is proven; the cost; the sum of that.
    for _ in 0..3 {
        match Image::check(&image) {
            Err(ImageError::Damaged { sum, .. }) => {
                image[16..20].copy_from_slice(&sum.to_le_bytes());
            }
            Err(ImageError::WrongCost { proven, .. }) => match u32::try_from(proven) {
                Ok(cost) => image[12..16].copy_from_slice(&cost.to_le_bytes()),
                Err(_) => return image,
            },
            _ => return image,
        }
    }
    image
}

fn hold(bytes: &[u8]) {
    if let Ok(unchecked) = Image::reopen(bytes) {
        requests(|request| {
            unchecked.decide(request).policies().for_each(drop);
        });
    }
    let Ok(image) = Image::check(bytes) else {
        return;
    };
    requests(|request| {
        let (decision, steps) = image.decide_counted(request);
        assert!(
            steps <= u64::from(image.cost()),
            "{steps} steps, proven {}",
            image.cost()
        );
        decision.policies().for_each(drop);
    });
}

fn requests(mut ask: impl FnMut(&Request<'_>)) {
    let names = ["a", "b", "", "spiffe://example.org/shop"];
    let ancestors: Vec<_> = (0..64)
        .map(|at| EntityRef::new(names[at % 2], names[at % 4]))
        .collect();
    let attributes = [
        Attribute::port(443),
        Attribute::new("a", Value::Str("b")),
        Attribute::new("b", Value::Bool(true)),
    ];
    for count in [0, 3, 64] {
        for id in names {
            ask(&Request {
                principal: Entity::new("a", id, &ancestors[..count]),
                action: "a",
                resource: Entity::new("b", id, &ancestors[..count]),
                context: Context::new(&attributes[..count.min(3)]),
            });
        }
    }
}
