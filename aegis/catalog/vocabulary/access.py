"""How somebody is let in, and with what device. A line: category | families | where | strength | phrases."""

RULES = """
user.authorization.password | text | any | 92 |
    password, password hash, hash password, encrypted password, password digest, hashed password, crypted
    password, password salt, salt password, old password, previous password, mot password, mot pass, user
    pass, pass word, user password, pass hash, pass md, password history, password encrypted, temporary
    password, pass phrase, login password, contrasena, password crypt, password hint answer, legacy
    password, sign password, password legacy
user.authorization.password | text | person | 85 |
    pass, salt, pin, pin code, clave, pin hash, password version text, crypt, hash, pin password, password
    algo text, hash salt
user.authorization.credentials | text | any | 90 |
    access token, refresh token, reset token, password reset token, confirmation token, remember token, auth
    token, authentication token, session token, api token, login token, email token, verification token,
    invitation token, activation token, activation code, verification code, recovery code, recovery codes,
    backup code, backup codes, totp secret, otp secret, two factor secret, mfa secret, two factor code, otp,
    otp code, one time code, security question, security answer, secret question, secret answer, unlock
    token, unsubscribe token, personal access token, bearer token, csrf token, oauth token, oauth secret,
    reset code, reset key, reset password key, activation key, confirmation code, invite code, invite token,
    verify token, verify code, verification key, login code, login key, magic link, recovery token, recovery
    key, auth code, authentication code, auth key, password question, reset password token, user activation
    key, feed token, rss token, password reset code, password reset hash, persistence code, password reset
    key, reset hash, remember code, forgot password token, forgotten password code, confirm code, confirm
    token, confirm key, validation key, validation code, token hash access, id token, session secret, two
    factor, otp key, totp, totp key, otp backup codes, email confirmation code, refresh token hash,
    unconfirmed token, incoming email token, static object token, reset digest, remember digest, activation
    digest, impersonation token, device code token, recovery hash, webauthn id, webauthn key, credential id
    webauthn, encrypted otp secret, otp secret key, mfa key, mfa code, one time password, sms code,
    challenge code
user.authorization.credentials | text | person+session+settings | 85 |
    token, api key, access key, secret, session id, session key, auth hash, secret key, private key, public
    key, ssh key, api secret, key, code, hash, credential, nonce, session data, session, selector,
    validator, cookie, token hash, token digest, token value, jwt, pgp, pgp key, pgp public key, auth,
    authentication, certificate, key data, verification, invitation, otp, access id, signature key, user
    token, value token, session hash, verifier, code challenge, state token, token key, passkey, series,
    encrypted token, security stamp, concurrency stamp, checksum token, activation, confirmation, recovery,
    challenge, redirect state, tokens, scratch code, scratch hash, csrf, refresh, payload token, user key,
    credential public key, webauthn, client data, attestation object, private key encrypted, keys encrypted,
    id token, device code, user code, request token, calendar key, feed key, rss key, ics token, serialized,
    session value, bearer, seed, secret data, credential data, secret encrypted
user.authorization.credentials | any | session | 75 |
    data, payload, session data, session value, content, value, authentication holder, claims, code data,
    body, authentication, attributes, token data, token id, series, series id
user.authorization.credentials | text | any | 70 |
    session key, session id, session hash, user api key, user token, member token, customer token, login
    hash, guest token, cart token, share token, share key, access hash, public token, access code, secret
    hash, edit token, view token, order token, download token, ticket secret, order key, tracking token,
    user secret, cart key, customer key, checkout token, order secret
user.authorization.biometric | any | any | 85 |
    face encoding, face embedding, face descriptor, faceprint, fingerprint template, iris, retina, voice
    print, voiceprint, biometric, biometric data, biometric template, biometric hash, fingerprint image,
    finger print, face template, iris scan
user.device.ip_address | address | any | 92 |
    ip, ip address, remote address, remote ip, client ip, last ip, login ip, registration ip, user ip, sign
    in ip, last sign in ip, current sign in ip, ip hash, ip number, source ip, src ip, poster ip, author ip,
    forwarded for, x forwarded for, real ip, create ip, created ip, visitor ip, ip v, customer ip, peer ip,
    ip range client, hashed ip, ip signup, signup ip, creator ip, voter ip, ip network, ip subnet
user.device.ip_address | address | session+log+device+behaviour | 80 |
    address, host, remote, client address, remote host, hostname, client host, remote host name, source
    address, ip long, network address, src, source host, host name, peer, client name
user.device | any | any | 90 |
    user agent, browser, browser name, browser version, browser user agent, client user agent, user agent
    hash, http user agent, device name, device model, device fingerprint, browser fingerprint, device info,
    device os, device type name, device brand, device manufacturer, device platform, user agent string,
    browser language, browser info, screen resolution, mac address, device description, device details,
    device data, client hostname, browser family, browser agent, device vendor, user agent family, user
    agent os, device serial, device serial number, accept language, device os version, agent user, device
    user agent, browser data, device family, browser hash
user.device | value | session+device+log+behaviour | 75 |
    agent, os, platform, device, os version, operating system, os name, app version, manufacturer, screen
    width, screen height, resolution, viewport, device type, fingerprint, client, hardware, serial, serial
    number, mac, app name, platform version, machine, computer name, screen, language, client version, build
    version, device class, color depth, carrier, os family
user.device.device_id | code | any | 90 |
    device id, device identifier, device token, push token, imei, imsi, advertising id, android id, fcm
    token, apns token, registration token, device uuid, hardware id, idfv, gcm token, device key, push id,
    gcm id, firebase token, installation id, apns device token, onesignal id, expo token, expo push token,
    machine id, push endpoint, push subscription, fcm registration token, push notification token, device
    push token, push key, device number, gcm registration id, player id push, iccid, ios token, android
    token
user.device.device_id | code | device | 80 |
    token, registration id, identifier, endpoint, uuid, udid, app id device, p dh, auth, key, external id,
    installation, serial, push, unique id, channel id, serial number, pushkey, p dh key, auth key,
    subscription, fid
user.device.cookie_id | code | any | 88 |
    visitor id, cookie id, client id cookie, anonymous id, tracking id visitor, cookie, browser id, visitor
    uuid, visitor token, ga client id, visitor hash, session cookie, visitor key, fbp, fbc, distinct id,
    visitor cookie, anonymous user id, cookie value, tracking cookie, unique visitor id, ga cid, google
    client id
user.device.cookie_id | code | behaviour+log | 75 |
    visitor, session, session id, session uid, client id, identity, anonymous, session hash, visit token,
    fingerprint, person id, hash, profile id, session key, request id visitor
user.authorization.credentials | text | person+session | 80 |
    auth data
user.authorization.credentials | any | session | 75 |
    variable
user.device | value | device+session | 75 |
    name, label, display name, model, brand, vendor, nickname
"""
