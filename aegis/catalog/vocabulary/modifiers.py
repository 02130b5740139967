"""Words that stand beside a concept in a column's name: before it, behind it, and what they make of it."""

#: Whoever stands before or behind a concept makes it a person's.
PERSONS = """
    user customer client member person people employee staff patient doctor physician nurse student teacher
    author contact owner creator sender recipient receiver applicant candidate lead subscriber visitor guest
    player driver rider buyer holder card_holder spouse child guardian mother father parent brother sister
    wife husband emergency kin beneficiary resident passenger attendee participant respondent reporter
    assignee reviewer approver manager supervisor requester requestor submitter uploader editor moderator
    follower friend worker coach instructor learner donor payer payee debtor insured claimant borrower
    referrer_person poster commenter voter salesperson cashier handler operator admin administrator
    consignee shipper signatory witness speaker organizer host_person tutor caregiver practitioner
    provider_person inviter invitee invited dependent relative artist personal profile billing shipping bill
    ship delivery invoice home private patron adviser advisor mentor trainer accountant lawyer
    physician_person referring account_manager examiner surgeon pilot captain crew professor pupil
    prescriber subject_person interviewer assigned responsible signer accepted_by closer opener actor caller
    callee cc_person to_person purchaser registrant followee followed liker rater blocker blocked_person
    principal headmaster chairman president treasurer director ceo
"""
#: Whatever stands before a name makes it the name of a thing.
THINGS = """
    product item file folder event role group category tag type template server host domain database table
    column field class module plugin app application service city state country region county province
    project task list filter key course currency unit status process job queue batch report campaign channel
    program plan package feature rule test step node tree attribute option variable function method page
    site menu block widget theme layout style color font icon label feed source asset image video audio
    media document book album track movie show genre series episode game level room seat vehicle model make
    brand species breed animal pet ingredient food recipe drug medicine medication disease procedure lab
    exam quiz survey question form section chapter lesson class_room subject_area grade bucket object
    resource action permission policy index schema engine driver_name library language locale timezone
    material part sku store shop warehouse branch venue location place station airport airline flight route
    stop bank department division team league season tournament match stadium forum board topic thread blog
    wiki space tenant workspace org organisation company vendor supplier merchant manufacturer publisher
    school university institution hospital clinic office business firm agency club network cluster namespace
    pod container image_name repository branch_name commit build release version environment stage pipeline
    workflow trigger hook webhook endpoint metric counter gauge sensor measurement parameter setting config
    property method_name class_name command script icon_name menu_name calendar event_type holiday shift
    position_name discount coupon promotion tax shipping_method payment_method carrier gateway provider
    integration connection connector protocol port interface network_interface hardware contract
    account_type ledger fund budget cost_center segment audience dimension unit_name trigger_name constraint
    sequence domain_name sub table_name col attr foreign local default system internal entity backend log
    logger task_name attachment certificate issuer algorithm cipher hash_algorithm smtp imap pop ldap proxy
    ftp sftp mysql postgres redis broker db aws mailer
"""
#: Whatever stands behind a concept makes it another thing: an email template is no address.
HEADS = """
    template type kind format count total quantity status state verified verify enabled disabled confirmed
    confirmation valid validated invalid required optional provider driver setting config configuration
    policy rule frequency limit quota size length width height max min expires expiry expired expiration
    expire at changed updated created sent notification notifications notify alert campaign domain server
    port protocol priority order position sort rank sequence visible visibility hidden public active level
    category group class mode method strategy algorithm algo version attempts failures tries failed retries
    interval delay timeout encoding charset label pattern regex mask placeholder display validation
    validator prefix_rule plan days hours minutes seconds period duration step index offset column field tag
    css html_template percent rate ratio amount price cost fee discount tax charge currency locked unlocked
    lock blocked block_type ban allowed available availability deleted flag bounced bounce digest_mode
    digests digest_frequency direct always queue batch job task workflow trigger rule_id scope scopes grant
    grants redirect callback uri_type schema table model module plugin theme layout page menu widget option
    choice precision accuracy checked check score_type view_count views clicks opens threshold source_type
    resets reset_at last_checked sync synced syncing change_required must_change reset_required strength
    history_count hint_type complexity requirement requirements collection collections set_id list_id
    book_id batch_id
"""
#: Whatever begins a name so asks a question, counts, or limits.
PREFIXES = """
    is has have can may should shall must was were will do does did allow allows allowed enable enables
    enabled disable disabled show hide use uses using require requires required force forced send sends
    notify needs need want ignore include exclude skip auto max min maximum minimum total count default
    supports support with without only not never always display displays restrict accept_only num number
    remind reminder
"""
#: Says nothing about what a value is.
NEUTRAL = """
    number value text string data raw encrypted encoded hashed plain canonical normalized lower upper clean
    original source new old current previous last first second third primary secondary main alternative
    additional other extra my your our the a an of for to from by on in at and or as with id code name full
    short long official legal public display work home private business office day evening night mobile
    personal unconfirmed pending temp temporary proposed requested line part local remote field attribute
    info information detail details list json xml html md url uri link path file blob enc hex b one two
    three four five kana kanji romaji latin english native phonetic ext extension country area key uuid hash
    search sort formatted full_text suffix prefix custom user_defined x y z table tbl master entity record
    base
"""
#: Words of fewer than four letters that may be a part of a word without gaps.
SHORT = """
    new old log row api tel fax zip url ssn dob usr job web ref uid key sms gps mac tax geo nom rue sex vat
    eml
"""
#: Longer ones that may not: too many words end in them by accident.
NO_PARTS = """
long text form mate land port rate male rank ban
"""
#: They end like plurals, or mean something else than their singulars.
NO_PLURALS = """
news series dues goods sales address status gps sms ios terms creds days class as is was his bus
"""
#: Said of who handled a row: a reference to a person, which makes the row nobody's.
HANDLED = """
    created updated modified deleted changed edited inserted approved rejected reviewed verified closed
    resolved locked published assigned added entered posted uploaded issued signed prescribed requested
    completed cancelled archived banned suspended processed last editor reviewer approver assignee moderator
    admin manager recorded submitted invited history
"""
#: Of the persons above, those whose key is as often another thing's.
NO_KEYS = """
billing shipping bill ship delivery invoice home private personal profile parent holder child operator client
lead contact resident host_person prescriber closer opener responsible assigned emergency
provider_person
"""
#: Whose customer a row is.
TENANTS = """
    tenant organisation company workspace account site shop merchant instance realm
"""
#: What a row needs to be kept, and nothing else.
BOOKKEEPING = """
    id uuid created updated modified deleted inserted changed status state type sort order position version
    active enabled code key sequence number count total flag level priority kind format category index
    locked slug hash checksum etag class model lft rgt depth path parent revision scope role partition
    shard dirty synced
"""
#: What a word without gaps may end with when its beginning is not known: `workoutlog`.
TAILS = """
    email name phone address password session entry history comment document profile user customer number
    log
"""
#: Behind the word for a person they leave it a table of persons.
STILL = """
    table tbl master entity data info record list base main account detail new old login all t tab file auth
    user person profile information user_account
"""
#: Words of many meanings: they mean what a rule says of them where they stand alone.
AMBIGUOUS = """
    unit state time last floor block building number line days date value type data hash room lane suite
    place area region zone position location level rank grade rate points score status key code secret note
    text title content description source session visitor client host model device platform duration start
    end from to paid gross net balance credit amount contract shift skill experience notice info settings
    option config property custom house company office branch division section function condition reaction
    body onset band race school degree major
"""
