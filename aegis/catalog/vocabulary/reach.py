"""Where somebody can be reached, and where they are; a line as in `aegis.catalog.rules`."""

RULES = """
user.contact.email | text | any | 95 |
    email, e mail, email address, correo electronic, electronic mail, posta electronic, email hash, email
    raw, email list, email normalized, email encrypted, email canonical
user.contact.email | text | mail | 85 |
    to, from, cc, bcc, reply to, recipient, sender, from address, to address, address, envelope from,
    envelope to, reply to address, from email, return path, message to, receiver
user.contact.email | text | any | 75 |
    sender address, recipient address, from address, to address, reply to address, bcc address, cc address,
    reply to
user.contact.phone_number | code | any | 92 |
    phone, phone number, contact number, mobile number, cell number, day phone, work phone, sms number,
    telephone number, caller number, callee number, calling number, caller id, called number, phone
    extension, area code phone, phone code, contact phone, phone country code, phone prefix, sms phone,
    whatsapp number, cell phone, mobile phone
user.contact.phone_number | code | near | 75 |
    cell, mobile, whatsapp, phone ext, area code, pager, sms, viber
user.contact.phone_number | code | callog | 80 |
    source number, destination number, from number, to number, caller, callee, cid number, ani, dnis, src,
    dst, clid
user.contact.fax_number | code | any | 90 |
    fax, fax number
user.contact.url | text | any | 80 |
    facebook, twitter, linkedin, instagram, github, gitlab, skype, telegram, discord, mastodon, youtube,
    tiktok, xing, snapchat, icq, jabber, msn, aim, yim, gtalk, pinterest, bluesky, viber, wechat, line id,
    social url, social media, social profile, social link, facebook url, twitter handle, github username,
    xmpp, matrix id, orcid, tumblr, reddit, vimeo, soundcloud, flickr, twitter username, linkedin url,
    facebook id, telegram id, google plus, messenger id, behance, dribbble, irc, threads handle, whatsapp
    id, qq, weixin, weibo, kakao, skype id, orcid id, isni, viaf, personal website, user website, user url,
    author url, yahoo, telegram username, discord id, slack id, slack user, social
user.contact.url | text | person+contact+content | 80 |
    website, url, homepage, web, site, blog, web address, profile url, link, personal page, home page,
    domain, uri, webpage, portfolio, web site, websites, websites url, profile link, wiki, actor url, inbox
    url, outbox url
user.contact.address.street | text | any | 90 |
    street, street address, address line, street name, street number, house number, address street,
    apartment number, house name, building number, flat number, door number, unit number, po box, street
    line, address line number, residence, door, exterior number, interior number, street address line, house
    no, home street
user.contact.address.street | text | near | 80 |
    line, floor, apartment, building, flat, unit, apt, suite, house, block, str, address complement, block
    number, complement, via, village street, landmark, lane, address number, stairs, room
user.contact.address.city | text | near | 85 |
    city, town, city name, locality, district, neighborhood, neighbourhood, place city, village, quarter,
    home city, ward, city id, quartier, sub district, taluka, district name, sublocality
user.contact.address.state | value | near | 80 |
    state, province, region, county, state code, state province, province code, prefecture, region code,
    administrative area, estado, state name, province name, region name, county name, zone, state id, region
    id, province id, subdivision
user.contact.address.country | value | near | 80 |
    country, country code, country name, country id, home country, address country, land, nation, country
    iso, residence country, country residence, iso country
user.contact.address.country | value | any | 75 |
    country residence, billing country, shipping country, home country, customer country, user country
user.contact.address.postal_code | code | near | 92 |
    postcode, post code, postcode code, postal code, postcode id, zip, postcode extension, cap, postcode
    suffix, code pocztowy, kod postcode
user.contact.address.postal_code | code | any | 80 |
    postcode, post code, postcode code
user.contact.address | text | any | 85 |
    home address, billing address, shipping address, mailing address, delivery address, postal address,
    residential address, permanent address, current address, contact address, customer address, full
    address, patient address, street full address, formatted address, user address, invoice address,
    correspondence address, work address, physical address, temporary address, present address, private
    address, address full, email address postal, passenger address
user.contact.address | text | near | 85 |
    address, full address, address text, formatted, formatted address, complete address, address format,
    address search text, address hash, address formatted, address lines
user.contact.address | text | owned+employment | 65 |
    address
user.location.precise | place | person+contact+session+device+owned+content+log+behaviour+order+medical | 85 |
    latitude, longitude, lat, lng, long, lon, coordinates, geo, geo location, geometry, gps, position,
    location point, gps location, geo point, geo lat, geo long, location, geopoint, map coordinates, point,
    latitude longitude, gps latitude, gps longitude, altitude, coordinate, check in location, geo latitude,
    geo longitude, geo hash, geohash, geo data
user.location.precise | place | any | 65 |
    user location, home location, current location, last location, pickup location, dropoff location, pickup
    latitude, pickup longitude, user latitude, user longitude, last latitude, last longitude, current
    latitude, current longitude
user.location.imprecise | value | any | 75 |
    geo country, geo city, geo region, ip country, ip city, ip location, country ip, city ip, ip region,
    geoip country, geoip city, geo country code, geo ip, location country, location city, geo ip country
user.location.imprecise | value | session+log+behaviour+device | 75 |
    country, city, region, country code, location, geo, postcode, place, region code, country name, geo id
user.location.imprecise | text | person+settings | 75 |
    timezone, time zone, timezone id, time zone name, timezone name, user timezone, timezone offset, utc
    offset, timezone auto, timezone string
user.location.imprecise | text | any | 80 |
    user timezone, customer timezone, user time zone
user.location | text | person | 80 |
    location, place, where, from location, lives in, residence, current city, home town, area, whereabouts,
    from where
user.location | text | any | 75 |
    user location, last known location, check in location, pickup location, dropoff location
user.contact.email | text | person+content | 80 |
    cc, bcc, reply to
user.contact | text | any | 85 |
    vcard, contact data, contact details, contact info, contact information, emergency contact
user.contact | text | contact | 75 |
    value, value compact, telecom
user.contact.address.country | value | near | 80 |
    residence
"""
