"""What somebody did, chose, wrote and showed. A line: category | families | where | strength | phrases."""

RULES = """
user.behavior | when | any | 88 |
    last login, last seen, last active, last visit, last activity, last access, first login, first seen,
    last sign in, current sign in, last online, last logged in, last login at, last login date, last login
    time, last visited, last posted, last read, first visit, first visited, last emailed, read at, seen at,
    last viewed, opened at, clicked at, viewed at, last used, last logout, last read at, login time, logout
    time, login at, logout at, login date, logged in at, previous login, previous visit, last action, first
    login at, last logged on, last used at, last heartbeat, last ping, last post, last seen date, last post
    date, last post time, last visit date, last browse, last password change login, last contacted, last
    connected, last contact, visited at, visit time, last purchase, last order date, check in time, check
    out time, checked in at, checked out at, attended at, access login, login access, current login, last
    viewed at, last request, last notified read, last played, last search time, last posted at, last
    searched, last accessed
user.behavior | when | person+session+device+behaviour | 80 |
    current login, first access, last access, access time, visited, seen, accessed, activity at, access,
    last used, date seen, online, read time, opened, clicked, played at, watched at, voted at, time spent,
    read, viewed, login, logout, watch time, date read, last time, entry time, exit time, listened at, time
    reading, visit duration, posts read
user.behavior | value | behaviour | 75 |
    vote, rating, score, reaction, emoji, value, points, grade, mark, marks, progress, status, attended,
    attendance, attempt, completed, like, likes, choice, selected option, correct, result, percent, weight,
    liked, stars, raw grade, final grade, answer, feedback, present, direction, response, type, watched,
    percentage, seen, read, position, favorite, state, best score, time spent, completion, raw score, max
    score, correct answers, event name, event, action, name, count, emotion, sentiment, up, down, is
    correct, opinion, preference, ranking, outcome, rank, lesson status, location, suspend data, element
    value
user.behavior | value | any | 75 |
    reputation score, user rating, karma, trust level user, engagement score, customer rating, lead score,
    user score, student grade, exam score, test score, quiz score, final grade, rating given, assessment
    score, attendance status, grade point, gpa, marks obtained, user points, loyalty points, reward points,
    total score student, driver rating, passenger rating, mark obtained, risk score, fraud score
user.behavior | value | person | 70 |
    karma, reputation, points, rating, score, trust level, honor, experience points, rank, xp, ranking,
    hotness, influence, loyalty points, churn score
user.behavior | any | log | 75 |
    action, details, detail, event, event name, event type, description, message, data, payload, extra,
    context, metadata, meta, old value, new value, changes, change, changed fields, properties, params,
    request, parameter, request body, object changes, before, after, old values, new values, log, text, log
    message, diff, activity, operation, info, comment, reason, event data, old data, new data, body, type,
    title, content, summary, note, changed data, audited changes, object repr, change message, verb, target,
    object, statement, request data, response data, old, new, original, tags, query, response, custom data,
    subject, method, status, status code, action type, result, action name, route, activity type, success,
    outcome, entry, delta, activity data, extra data, post data, additional data, parameters, category, log
    data
user.behavior.browsing_history | text | any | 82 |
    referrer, http referrer, referring url, landing page, visited url, page url visited, last page, current
    page visited, entry page, exit page, utm source, utm campaign, utm medium, utm term, utm content, last
    url, referrer url, referring site, referring domain, referrer domain, landing url, url referrer, first
    referrer, http referer url, clicked url, session page, last page visited, source referrer, link clicked,
    page visited, landing site, referrer path, last visited url
user.behavior.browsing_history | text | session+log+behaviour | 78 |
    url, path, page, request url, request uri, page url, uri, location url, action url, page title, request
    path, route, screen name, link, current url, full url, visit url, query, query parameter, host page,
    request, resource, previous url, gclid, action name, page name, page path, url path, content url, url
    query, view name, endpoint, hostname page, referrer query, utm, source, campaign, medium, keyword,
    adgroup, fbclid, msclkid
user.behavior.search_history | text | any | 82 |
    search query, search term, search text, search keyword, search phrase, search string, search keywords,
    search words, query text, query searched, searched term, search terms, keyword searched, keyword search,
    search history, search words user
user.behavior.search_history | text | behaviour+log+search | 78 |
    query, term, keyword, keywords, q, criteria, search, words, terms, phrase, filter, filters
user.behavior.purchase_history | any | any | 75 |
    purchase history, order history, purchased products, last purchase, last order, viewed products,
    wishlist data
user.privacy_preferences | choice | any | 88 |
    consent, opt in, opt out, newsletter, marketing consent, terms accepted, accepted terms, privacy
    accepted, accepts marketing, privacy policy accepted, marketing opt, email opt, sms opt, data consent,
    cookie consent, agreed terms, terms agreed, do not call, do not email, do not contact, gdpr consent,
    gdpr, accept terms, consent date, consent given, unsubscribe, subscribe newsletter, newsletter
    subscribed, allow marketing, receive newsletter, terms version, marketing accepted, marketing email,
    marketing preferences, terms consent, privacy consent, email consent, agree terms, do not track, do not
    sell, allow tracking, policy accepted, consented, tos accepted, mailing consent, opted in, opted out,
    opted, receive marketing, accept newsletter, promotional emails, accepts email, agreed, marketing
    allowed, email marketing, sms marketing, allow contact, policy agreed, optin, optout, privacy policy
    version, privacy policy, terms of service accepted, terms service, email opt out, consent status,
    consent text, hipaa allow sms, hipaa allow email, hipaa notice, allow email marketing, terms conditions,
    accepted at terms, buyer accepts marketing, accept marketing, privacy level, privacy setting, show
    email, hide email, email visible, email visibility, show online, hide profile, hide online, allow email
    contact, email me, marketing subscribed, gdpr accepted, public email, emailopt, do not mail, notify
    marketing
user.privacy_preferences | choice | consent | 80 |
    accepted, accepted at, agreed at, given at, granted, version, text, status, state, revoked at, withdrawn
    at, type, value, purpose, subscribed at, unsubscribed at, confirmed at, source, accepted on, approved
    at, granted at, decision, action
user.account.settings | box | person+settings | 82 |
    setting, preference, option, config, parameter, settings json, preferences json, meta, metadata, extra,
    user setting, profile data, custom data, additional data, extra data, attribute, value, meta value,
    data, properties, configuration, user data, extension, custom attribute, ui setting, dashboard,
    notification setting, custom, private metadata, public metadata, app metadata, user metadata, info,
    additional info, preferred, email preference, notification preference, property, columns setting, user
    meta, json, content, flags json, customization, traits, app data, raw user meta data, raw app meta data,
    raw user data, custom fields
user.account.settings | box | any | 78 |
    user setting, user preference, user option, member preference, notification preference, user config,
    user parameter, account setting, user data, user meta
user.content.self_image | image | any | 90 |
    avatar, profile photo, profile image, profile picture, user photo, user image, user picture, portrait,
    head photo, photo url user, employee photo, patient photo, student photo, selfie, face image, avatar
    url, avatar file, avatar id, passport photo, id photo, avatar template, avatar path, uploaded avatar,
    photo id user, avatar static, user avatar, author image, cover photo user, photo person, profile pic,
    profile background, profile banner, profile cover, profile header, member photo, contact photo, identity
    photo, customer photo, customer image, profile photo path, picture profile
user.content.self_image | image | person | 82 |
    photo, image, image url, picture, photo url, icon url, image path, header url, cover, banner, image id,
    photo path, photo file, thumbnail, icon, header image, cover photo, background image, photo id, image
    file, background url, header, image name, cover image, has photo, thumb, image thumb, picture url, photo
    data, image data, image small, image medium, image large, signature image, header file name, photo file
    name, image filename, photo filename, card background
user.content.private | text | near+owned+device+activity+session+wallet+consent | 75 |
    note, comment, remark, reason, feedback, message, special request, instruction, internal note, private
    note, admin note, comment text, gift message, customer note, delivery note, special instruction,
    customer comment, delivery instruction, staff note, additional information, purpose, rejection reason,
    cancellation reason, cancel reason, customer message, additional note, public note, order note, order
    comment, note text, justification, staff comment, complaint, testimonial, ban reason, suspension reason,
    moderation note, block reason, delete reason, banned reason, note html, wishes, special requirements,
    request text, excuse, observation, custom message, request note, inquiry, resolution, decision reason,
    private comment, close reason, decline reason, memo text
user.content.private | text | any | 78 |
    user note, customer note, patient note, employee note, gift message, admin note user, chat message,
    message text, message body, customer comment, user comment, member note, interview note, candidate note,
    customer message, customer feedback, user feedback, special request, ban reason, suspended reason, note
    customer, student comment, student note, essay, gift note, user message, buyer note, customer remark,
    feedback text, note to admin, note from customer, personal message, personal note, buyer message, order
    customer note, delivery instruction, delivery instructions, staff note user, moderation note, guest
    note, guest comment
user.content.public | text | content | 85 |
    body, content, text, message, comment, title, subject, description, raw, cooked, html, excerpt, summary,
    note, review, answer, question, reply, response, caption, raw content, body html, body text, plain text,
    title text, post, headline, review text, advantage, disadvantage, pros, cons, filename, file name, url
    title, original text, snippet, content html, subject line, message html, post text, post content, post
    title, post excerpt, comment content, review title, review body, spoiler text, content text, text html,
    rendered, note html, description html, title html, content warning, abstract, markdown, cached html,
    fancy title, slug, feedback, opinion, detail, details, statement, issue, solution, source text, media
    description, alternative text, post subject, pm text, signature text, poll question, status text,
    transcript, edit reason, reason, quote, remark, message text, message body, stripped text, content
    filtered, post content filtered, body raw, message subject, body plain, data, rich text, value, text
    plain, text original, private note, search text, content json, body json, story, memo, pm subject,
    thread title, topic title, post body, blurb, intro, preview, full text, stripped message, text body,
    words, bodymarkup, message type text, bodytext, search vector, tsv, search index, searchable, search
    content, ts vector, original filename, original name, path, file, attachment, file path, attachment
    name, image, storage name, file url, storage key, thumbnail, thumbnail path, media, image url,
    attachments, files, file data, object key, upload name, physical filename, real filename, disk filename,
    original file name, media url, audio, video, voice, document, document name, blob, download url
user.content.private | text | mail | 82 |
    subject, body, content, text, message, header, headers, html, raw, text body, html body, html text, body
    html, body text, plain, body plain, source, attachment, mime, raw message, message body, parameters,
    data, payload, message html, title, mail, email body, envelope, template data, snippet, message id,
    error message, variables, raw headers, email html, merge data, message text, context, mail data
user.content.private | text | any | 70 |
    email body, email content, email subject, email text, mail body, email html, sms text, sms body, sms
    content, sms message, letter text, chat text, transcript
user.content.private | box | form | 80 |
    answer, answers, data, value, content, response, field value, form data, text, payload, answer text,
    response text, fields, json, text value, submission, body, entry, meta value, message, entry value,
    response value, short answer, numeric answer, free text, open text, submitted data, responses, feedback,
    value text, comment, entry data, sdata, answer value, choice text
user.behavior.search_history | text | search | 80 |
    data, content, name, value
user.content.private | text | owned | 70 |
    filename, file name, original filename, attachment, document, document name, upload, file path, document
    file, file
user.content.private | text | owned+activity | 66 |
    description, text, body, content, title text
user.behavior | when | activity | 78 |
    date, start, end, start time, end time, started at, ended at, finished at, begin, began, time, start
    date, end date, finish, start at, end at, finished, datetime, stopped at, stop time, seconds, minutes,
    hours, elapsed, spent, time finish, time start
user.behavior | any | activity | 65 |
    impression, comment, distance, repetitions, intensity, effort, result
user.behavior | when | session | 70 |
    started, duration, last, time
user.behavior | when | any | 80 |
    attempted at, attempt time, attempt at, read time at
user.content.private | text | near+owned+activity | 75 |
    obs
user.device | value | content | 75 |
    agent
user.behavior | value | content | 75 |
    score, rating, star, vote, sentiment
user.behavior | value | activity | 75 |
    complete, completed, correct, incorrect, hinted, progress, score, attempts, passed, grade, mark, percent,
    answered, skipped, closed, mastery level, rating
user.behavior | when | activity | 75 |
    completion, completed at, answered at, last interaction, completion time, interaction time
user.content.private | text | activity | 75 |
    answer, simple answer, response, interaction history, extra field
user.content.private | any | session | 78 |
    data, payload, session data, session value, variable
user.content.private | box | order | 65 |
    data, extra data, form data, custom data, custom field, additional data
user.content.private | box | person+profile | 78 |
    additional field
user.privacy_preferences | choice | person+profile+contact+owned | 75 |
    subscribe
user.behavior.browsing_history | text | any | 80 |
    attribution url, attribution referrer, attribution source, attribution medium
user.content.private | box | owned | 70 |
    data, payload, blob
"""
