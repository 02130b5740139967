"""Who somebody is: names, descriptions, numbers of the state, and numbers that people know.

A line: category | families | where | strength | phrases. See `aegis.catalog.rules`.
"""

RULES = """
user.name.first | text | any | 95 |
    first name, given name, christian name, first name kana, nombre pila
user.name.last | text | any | 95 |
    last name, family name, maiden name, birth name, second last name, maternal name, paternal name
user.name | text | any | 95 |
    middle name, full name, legal name, real name, preferred name, name suffix, name prefix, person name,
    maternal last name
user.name | text | any | 95 |
    salutation, initials, honorific, name title, phonetic name, former name, previous name, card holder
    name, father name, mother name
user.name | text | any | 90 |
    first last name, last first name, first middle last name, people name, recipient name, attention name
user.name | text | person | 90 |
    name, maiden, middle, nombre, display name, formal name, sort name, nom, suffix, prefix, title, public
    name, nickname, label name, nom complet, given, family, alias
user.name | text | person | 85 |
    complete name, name complete, nombre complet, ad, other name, short name, native name, name local, name
    english
user.name | text | contact | 85 |
    name, contact name, full name, care of, attention, attn
user.name | text | content | 70 |
    name, display name, real name
user.account.username | text | any | 90 |
    username, screen name, user name, login name, user login, nickname, user nick, account name login, nick
    name, twitch name
user.account.username | text | own | 85 |
    handle, display name, login, alias, user handle, user slug, pen name, principal
user.account.username | text | person | 80 |
    slug, login, alias, handle, account name, vanity, permalink, user
user.demographic.date_of_birth | when | any | 95 |
    birth date, birth year, birth month, birth day, date birth, birth, birth time, date of birth, born, born
    on, born at, born date, birthdate
user.demographic | text | any | 90 |
    birth place, birth city, place birth, birth country, birth location, birth state, birth name place,
    place of birth, city birth, country birth
user.demographic | when | any | 85 |
    death date, date death, deceased at, deceased on, death time, died at, died on, date deceased, deceased
    date
user.demographic | flag | any | 80 |
    deceased, dead, is deceased, death, cause death, vital status
user.demographic.age_range | code | any | 80 |
    age range, age group, age years, age band, age bracket, patient age, customer age, estimated age
user.demographic.age_range | code | person+medical | 85 |
    age, ages
user.demographic.gender | value | any | 90 |
    gender, sex, gender identity, biological sex, sex at birth, pronoun, pronouns, birth gender, gender code
user.demographic.marital_status | value | any | 90 |
    marital status, civil status, marital state, family status, married, familiale situation, situation
    familiale, civil estado, estado civil, marital
user.demographic.race_ethnicity | value | any | 85 |
    ethnicity, ethnic origin, ethnic group, caste, tribe, ethnicity origin, indigenous
user.demographic.race_ethnicity | value | person+medical | 85 |
    race, race ethnicity
user.demographic.religious_belief | value | any | 85 |
    religion, religious belief, denomination, faith
user.demographic.political_opinion | value | any | 85 |
    political opinion, political party, political affiliation, party affiliation
user.demographic.sexual_orientation | value | any | 90 |
    sexual orientation, orientation sexual
user.demographic | value | any | 90 |
    nationality, citizenship, immigration status, residency status, visa status, visa type, country
    citizenship, national origin
user.demographic.language | value | person+settings | 75 |
    language, locale, preferred language, spoken language, interface language, user language, ui language,
    mother tongue, default language, language code, primary language, native language, admin language, email
    language
user.demographic.language | value | any | 85 |
    preferred language, spoken language, mother tongue, user language, customer language, customer locale,
    user locale, preferred locale, communication language
user.demographic | value | any | 80 |
    education level, highest education, literacy, household size, income level, number children, children
    count, social class, education
user.demographic | value | person+medical | 75 |
    education, degree, school, university, college, major, graduation year, relation, relationship, kinship,
    living status, dependents, children, family, grade level, hobbies, eye color, hair color, generation
user.demographic | text | any | 75 |
    relationship to patient, kin relationship, emergency contact relation, contact relationship,
    relationship type person, next kin, kin, emergency contact relationship
user.demographic.profile | text | any | 85 |
    biography, user signature, email signature, about me, user description, self description, user
    biography, profile text
user.demographic.profile | text | person | 80 |
    about, biography, signature, description, motto, interest, hobby, tagline, headline, summary,
    introduction, quote, status text, status message, personal statement, profile, story, info, who, bio
    html, intro, about html, mood, statement, status line, custom status, favorite quote
user.government_id.national_identification_number | code | any | 95 |
    ssn, social security, social security number, national id, national identification, identity number,
    identity card, national insurance, personal identification number, codice fiscale, dni, nie, curp, cpf,
    pesel, bsn, aadhaar, nric, cuil, cedula, jmbg, egn, cnp, amka, emso, oib, cpr, nir ssn, national number,
    civil registration, personal number, citizen id, nik, rut, insee, ssn last, fiscal code, securite
    social, social security id, rg, id card, id number person, cpf cnpj, sin, id card number, identification
    number, document number identity
user.government_id.national_identification_number | code | near | 80 |
    nif, id number, identification, document number, doc number, rfc, pin number, bvn, inn, nin, pan, fiscal
    number, rg, identity document, cedula number, personal id, identity, identification document
user.government_id | code | near | 75 |
    document type, id type, document issued, document expiry, id expiry, issuing authority, document series,
    visa, identification type, issuing country
user.government_id | code | near | 85 |
    tax number, tax id, vat, vat number, vat id, fiscal id, tax identification, taxpayer id, cnpj, cuit,
    nip, taxvat, pan number, fiscal number, tax code, tax identifier, tax exempt number, vat code, iva
    partita, tax registration
user.government_id.passport_number | code | any | 95 |
    passport, passport number, passport id, passport no
user.government_id.passport_number | when | any | 80 |
    passport expiry, passport issued, passport expiration, passport expires
user.government_id.drivers_license_number | code | any | 90 |
    driver license, drivers license, driving license, license driver, licencia driving, permis driving,
    driver license number, driving licence
user.government_id.vehicle_registration | code | any | 80 |
    license plate, plate number, vehicle registration, registration plate, number plate, license plate
    number, vehicle plate
user.government_id.vehicle_registration | code | own+vehicle | 70 |
    vin, plate
user.government_id.immigration | code | any | 85 |
    visa number, residence permit, work permit, alien number, immigration number, alien registration, green
    card number
user.account | code | any | 85 |
    customer number, member number, membership number, employee number, student number, customer code,
    employee code, student code, staff number, badge number, loyalty number, subscriber number, library
    card, card number member, matriculation number, roll number, admission number student, frequent flyer,
    loyalty card, employee identifier, payroll number, personnel number, patient number external,
    registration number student, member code, cardnumber, staff code, user code, user number, contact number
    external
user.account | code | person | 80 |
    external id, external user id, oauth id, oauth uid, provider id, provider uid, sso id, ldap dn, ldap
    uid, ldap id, open id, openid, google id, github id, azure id, apple id, federation id, dn,
    distinguished name, foreign id, remote id, legacy id, old id, external identifier, auth id, idp id, saml
    id, saml subject, sub, subject id, third party id, reference number, customer reference, badge, barcode,
    employee id, account number, member id, student id, staff id, customer id external, idnumber,
    registration number, matricule, identifier, unique identifier, cas id, sso, ldap, import id, number,
    nameid, provider user id
user.account | text | session | 75 |
    uid, provider uid, subject, sub, open id, identifier, external id, provider id, provider user id, uid
    provider, extern uid, external uid, user id external, identity url, claimed id, provider account id,
    provider account, remote user, subject id, server user id
user.name | text | any | 75 |
    owner, author, customer, sender, recipient, contact, contact person, employee, manager, supervisor,
    doctor, patient, student, teacher, assignee, reporter, reviewer, approver, requester, guest, driver,
    seller, payee, cashier, salesperson, contact name person, responsible person, attention, consignee,
    signatory, authored by, physician, instructor, artist, speaker, editor, spouse, guardian, witness, sales
    rep, inspector, technician, translator, photographer, composer, director, kin, holder, beneficiary
user.account.username | text | any | 75 |
    user, created by, updated by, modified by, deleted by, changed by, approved by, last modified by,
    entered by, posted by, last updated by, assigned user, uploaded by, added by, edited by, last editor,
    operator, creator
user.demographic | value | any | 88 |
    birth place, birth country, country birth, city birth, birth state, birth city
user.account | text | profile | 75 |
    uid, provider uid, subject, sub, provider user id, identifier, extern uid
user.unique_id | code | self | 85 |
    uuid, guid, public id, transient id
user.government_id | code | identity | 75 |
    code, number, value, identifier, document number, series
user.account | code | person | 75 |
    ref
user.demographic | value | person+medical | 78 |
    homeless, housing, prison, criminal record, conviction
"""
