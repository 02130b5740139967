"""English words that stand for others: abbreviations, one word for two, other spellings."""

WORDS = """
whodunnit created_by  whodunit created_by  mailer email  cp cp  catalog catalog  dialog dialog
analog analog  datetime datetime  sess session  vars variable  vcard vcard  logentry log_entry  addr address
adr address  adress address  addres address  acct account  acc account  accnt account  accno account_number
bday birth_date  birthdate birth_date  birthday birth_date  dob birth_date  dateofbirth birth_date
birthdt birth_date  doa death_date  dod death_date  deathdate death_date  browser browser
useragent user_agent  ua user_agent  agentstring user_agent  cell cell  cellphone phone  mobile phone
mob phone  mobilephone phone  mobileno phone_number  handphone phone  telephone phone  tel phone
telno phone_number  telnr phone_number  phoneno phone_number  phonenr phone_number  fon phone  msisdn phone
ph phone  phonenumber phone_number  landline phone  whatsapp whatsapp  fax fax  faxno fax  telefax fax
facsimile fax  cust customer  custno customer_number  client client  cli client  emp employee  empl employee
empno employee_number  usr user  uname username  usrname username  username username  userlogin username
loginname username  logname username  logon login  signin sign_in  signup sign_up  userid user_id  uid uid
guid uuid  uuid uuid  pwd password  passwd password  passwrd password  pword password  psw password
pswd password  passphrase password  passcode password  userpass password  passhash password_hash
hashed hash  digest hash  md hash  sha hash  fname first_name  firstname first_name  givenname first_name
forename first_name  fstname first_name  frstname first_name  forenames first_name  firstnames first_name
lname last_name  lastname last_name  surname last_name  familyname last_name  lstname last_name
sname last_name  mname middle_name  middlename middle_name  maiden maiden  patronymic middle_name
fullname full_name  nickname nickname  nick nickname  displayname display_name  realname full_name
screenname screen_name  initials initials  dept department  org organisation  organization organisation
orgs organisation  organizations organisation  corp company  firm company  business company
enterprise company  employer employer  workplace workplace  affiliation affiliation  desc description
descr description  descrip description  bio biography  msg message  txt text  cmt comment  comments comment
remark note  remarks note  memo note  notes note  notice notice  annotation note  lang language
langs language  locale locale  loc location  tz timezone  timezone timezone  tzid timezone  lat latitude
lng longitude  lon longitude  lgt longitude  latlng coordinates  latlong coordinates  latlon coordinates
geom geometry  geo geo  gps gps  coords coordinates  coord coordinates  geolocation geo_location  ip ip
ipaddr ip_address  ipaddress ip_address  ipv ip  ips ip  ipno ip  remoteip ip  clientip ip
remoteaddr ip_address  mac mac  macaddr mac_address  hostname host_name  imei imei  imsi imsi
idfa advertising_id  gaid advertising_id  udid device_id  no number  num number  nr number  nbr number
numb number  nmbr number  zip postcode  zipcode postcode  postcode postcode  postal postcode
postalcode postcode  postalcd postcode  pincode postcode  st st  str str  strt street  streetname street
road street  rd street  prov province  ctry country  cntry country  cty city  town city  suburb city
village city  municipality city  locality city  district district  county county  ssn ssn  sin sin
nino national_insurance  nin national_id  itin tax_number  tin tax_number  ein tax_number  vat vat
vatin vat  passportno passport  dl driver_license  dln driver_license  driverlicence driver_license
licence license  cc cc  ccnum card_number  creditcard credit_card  cardno card_number  cvv cvv  cvc cvv
iban iban  bic bic  swift bic  acctno account_number  sortcode sort_code  aba routing_number  sal salary
wage salary  wages salary  payrate pay_rate  ctc salary  remuneration salary  sex sex  gender gender
gndr gender  maritalstatus marital_status  civilstatus marital_status  eth ethnicity  ethnic ethnicity
nationality nationality  citizenship nationality  religion religion  religious religion  creed religion
race race  diag diagnosis  dx diagnosis  rx prescription  med medication  meds medication
medicine medication  bp blood_pressure  mrn medical_record_number  icd icd  allergies allergy  vax vaccine
vaccination vaccine  immunization vaccine  immunisation vaccine  jobtitle job_title  occupation occupation
profession occupation  designation designation  headline headline  pic photo  pict photo  picture photo
img image  foto photo  avatar avatar  gravatar avatar  headshot photo  portrait photo  email email
mail email  emailaddress email  emailaddr email  mailaddress email  eml email  emails email  mails email
url url  website website  homepage website  web website  webpage website  weburl website  site site
blog blog  referer referrer  referrer referrer  referral referral  utm utm  querystring query  dt date
ts time  dtm date  stamp time  timestamp time  yr year  mth month  dy day  cfg config  conf config
prefs preference  pref preference  opts option  params parameter  param parameter  attrs attribute
qty quantity  amt amount  cnt count  pct percent  avg average  tot total  min min  max max  seq sequence
idx index  cat category  catg category  grp group  stat status  sts status  flg flag  ind indicator
typ type  cd code  addl additional  alt alternative  prim primary  sec second  prev previous  orig original
mfa two_factor  tfa two_factor  twofactor two_factor  totp otp  otp otp  hotp otp  secret secret  salt salt
pin pin  apikey api_key  accesskey access_key  authtoken auth_token  sessionid session_id  sessid session_id
sid session_id  sessiontoken session_token  jti token  privkey private_key  pubkey public_key  pgp pgp
gpg pgp  ssh ssh  creds credential  credentials credential  lastlogin last_login  lastseen last_seen
lastvisit last_visit  lastactive last_active  lastactivity last_activity  lastlogon last_login
lastaccess last_access  lastip last_ip  loginip login_ip  regip registration_ip  spouse spouse  kin kin
nok kin  guardian guardian  dependant dependent  optin opt_in  optout opt_out  tos terms  tnc terms
gdpr gdpr  subscribed subscribe  unsubscribed unsubscribe  newsletter newsletter  resume resume  cv cv
cvs cv  edu education  qual qualification  yob birth_year  pob birth_place  birthplace birth_place
hometown home_city  sender sender  recipient recipient  rcpt recipient  addressee recipient
cardholder card_holder  accountholder account_holder  created created  crtd created  creat created
create created  write modified
updated updated  modified modified  upd updated  usercreated created_by  createdby created_by
updatedby updated_by  modifiedby modified_by  insertedby created_by  deletedby deleted_by
postedby created_by  enteredby created_by  addedby created_by  owner owner  hist history  subj subject
addrs address  fullnm full_name  nm name  nme name  fullnames full_name  sso sso  ldap ldap  dn dn
"""
