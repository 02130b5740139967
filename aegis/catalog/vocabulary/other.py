"""Polish, Czech, Nordic, Turkish, Indonesian and other words, and the numbers that states give to people."""

WORDS = """
domu house  zatrudnienia hire  imie first_name  imiona first_name  nazwisko last_name  haslo password
uzytkownik user  uzytkownicy user  klient customer  klienci customer  pracownik employee
pracownicy employee  telefon phone  komorka phone  ulica street  miasto city  miejscowosc city  kod code
pocztowy postcode  kodpocztowy postcode  wojewodztwo province  kraj country  adres address  urodzenia birth
dataurodzenia birth_date  plec gender  narodowosc nationality  obywatelstwo nationality
stanowisko job_title  firma company  pensja salary  wynagrodzenie salary  pesel pesel  dowod identity_card
nip nip  regon regon  paszport passport  uwagi note  komentarz comment  wiadomosc message  temat subject
tresc content  opis description  jezyk language  zamowienie order  zamowienia order  faktura invoice
platnosc payment  wysylka shipping  osoba person  osoby person  pacjent patient  pacjenci patient
lekarz doctor  choroba disease  recepta prescription  zgoda consent  ostatnie last  logowanie login
nazwa label  numer number  ilosc count  cena price  kwota amount  uczen student  nauczyciel teacher
zdjecie photo  jmeno first_name  prijmeni last_name  heslo password  uzivatel user  zakaznik customer
mesto city  psc postcode  narozeni birth  pohlavi gender  fornavn first_name  etternavn last_name
efternavn last_name  fornamn first_name  efternamn last_name  adresse address  adress address  gate street
gatuadress street  postnummer postcode  postnr postcode  poststed city  ort city  losenord password
passord password  adgangskode password  foedselsdato birth_date  fodselsdato birth_date
fodelsedatum birth_date  personnummer national_id  fodselsnummer national_id  cpr cpr  kjonn gender
kon gender  kunde customer  bruger user  bruker user  anvandare user  telefonnummer phone_number
etunimi first_name  sukunimi last_name  henkilotunnus national_id  hetu national_id  katuosoite street
postinumero postcode  puhelin phone  salasana password  ad ad  soyad last_name  soyadi last_name
isim first_name  sifre password  kullanici user  musteri customer  telefonu phone  dogum birth
cinsiyet gender  sehir city  ilce city  tckn national_id  adresi address  calisan employee  maas salary
eposta email  nama name  kelamin gender  alamat address  lahir birth  telepon phone  sandi password
pengguna user  pelanggan customer  karyawan employee  kota city  provinsi province  kodepos postcode
nik nik  npwp tax_number  agama religion  pekerjaan occupation  gaji salary  tgl date  tanggal date
familiya last_name  imya first_name  otchestvo middle_name  parol password  pochta email  gorod city
ulitsa street  inn inn  snils ssn  keresztnev first_name  vezeteknev last_name  jelszo password
iranyitoszam postcode  varos city  utca street  prenume first_name  nume name  parola password  oras city
judet province  cnp cnp  oib oib  jmbg jmbg  emso emso  egn egn  amka amka  afm tax_number  aadhaar aadhaar
aadhar aadhaar  pan pan  pancard pan  nric nric  hkid national_id  fin fin  ktp identity_card  bvn bvn
ghana ghana  idcard identity_card  idno id_number  idnumber id_number  nationalid national_id
nid national_id  citizenid national_id
"""
